import os

import pytest
from deals import SMALL
from hypothesis import HealthCheck, settings

from simulator.dealfile import loads
from simulator.run import simulate

_SLOW_TO_DRAW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]

settings.register_profile(
    "fixed", derandomize=True, deadline=None, database=None, print_blob=False, suppress_health_check=_SLOW_TO_DRAW
)
settings.register_profile(
    "searching", deadline=None, database=None, print_blob=False, suppress_health_check=_SLOW_TO_DRAW
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.fixture(scope="session")
def kernels():
    """Compile the kernels before anything is timed."""
    simulate(loads(SMALL), draws=2, threads=1)
