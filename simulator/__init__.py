"""A Monte Carlo simulator of social impact bonds.

The public names are loaded when they are first used, so that `sib --help` stays instant.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from simulator import figures
    from simulator.cash import cash_flows
    from simulator.compare import compare
    from simulator.dataplan import data_plan
    from simulator.dealfile import load, loads
    from simulator.explain import explain
    from simulator.information import information
    from simulator.luck import luck
    from simulator.pictures import plot
    from simulator.publish import write_report
    from simulator.result import Result
    from simulator.run import simulate
    from simulator.sensitivity import sensitivity
    from simulator.settle import settle
    from simulator.solve import frontier, solve
    from simulator.stress import stress
    from simulator.sweep import sweep
    from simulator.triggers import triggers
    from simulator.yamlfile import DealError

__all__ = [
    "DealError",
    "Result",
    "__version__",
    "cash_flows",
    "compare",
    "data_plan",
    "explain",
    "figures",
    "frontier",
    "information",
    "load",
    "loads",
    "luck",
    "plot",
    "sensitivity",
    "settle",
    "simulate",
    "solve",
    "stress",
    "sweep",
    "triggers",
    "write_report",
]

_HOMES = {
    "DealError": "simulator.yamlfile",
    "Result": "simulator.result",
    "cash_flows": "simulator.cash",
    "compare": "simulator.compare",
    "data_plan": "simulator.dataplan",
    "explain": "simulator.explain",
    "frontier": "simulator.solve",
    "information": "simulator.information",
    "load": "simulator.dealfile",
    "loads": "simulator.dealfile",
    "luck": "simulator.luck",
    "sensitivity": "simulator.sensitivity",
    "settle": "simulator.settle",
    "simulate": "simulator.run",
    "solve": "simulator.solve",
    "stress": "simulator.stress",
    "sweep": "simulator.sweep",
    "triggers": "simulator.triggers",
    "plot": "simulator.pictures",
    "write_report": "simulator.publish",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    import importlib

    if name == "figures":
        return importlib.import_module("simulator.figures")
    if name not in _HOMES:
        raise AttributeError(f"module 'simulator' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return list(__all__)


class _Package(ModuleType):
    """Keeps `simulator.settle`, `simulator.explain` and the like the functions, whichever module was imported first."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
