"""Work on several processes or machines, by Dask: an optional extra.

A task works on one thread and gives bytes that depend on nothing but what it is asked, so that it does not matter which
worker does it, how often, or whether one is lost.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from simulator.yamlfile import AskError

_WAIT = 15.0
"""Seconds."""
_LOST = 100
"""Workers that one task may see die before it is given up."""


@contextlib.contextmanager
def connected(workers: int | None, scheduler: str | None, needed: Callable[[], Mapping[str, str]]) -> Iterator[Any]:
    """Hold a connection to a Dask cluster; yield its client.

    Parameters
    ----------
    workers, scheduler
        Make so many local processes of one thread each, or use the cluster at this address.
    needed
        Versions that every worker must agree in with this process.

    Raises
    ------
    AskError
        If Dask is not installed, the cluster cannot be reached, or its workers are not alike.
    """
    try:
        import dask
        import distributed
    except ImportError:
        raise AskError("dask is not installed; allowed: pip install 'social-impact-bond-simulator[dask]'") from None

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    settings = {
        "distributed.scheduler.allowed-failures": _LOST,
        "distributed.admin.large-graph-warning-threshold": "1GB",
    }
    with dask.config.set(settings), contextlib.ExitStack() as held:
        place: Any = scheduler
        if scheduler is None:
            place = distributed.LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=workers or 1,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )
            held.enter_context(place)
        else:
            _knock(scheduler)
        try:
            client: Any = distributed.Client(place, timeout=_WAIT, set_as_default=False)  # type: ignore[no-untyped-call]
            held.enter_context(client)
            client.wait_for_workers(1, timeout=_WAIT)
        except (OSError, TimeoutError, ValueError) as error:
            message = " ".join(str(error).split())
            raise AskError(f"no Dask workers at {scheduler}: {message}; allowed: a scheduler with workers") from None
        _agree(client, needed)
        yield client


def _knock(scheduler: str) -> None:
    """See at once whether anybody is there; Dask's own client would try for long and leave a trace."""
    import socket

    from distributed.comm.addressing import parse_host_port

    try:
        with socket.create_connection(parse_host_port(scheduler.rpartition("://")[2]), timeout=_WAIT):
            pass
    except (OSError, ValueError) as error:
        message = " ".join(str(error).split())
        raise AskError(f"no Dask scheduler at {scheduler}: {message}; allowed: HOST:PORT of one that runs") from None


def _agree(client: Any, needed: Callable[[], Mapping[str, str]]) -> None:
    ours = dict(needed())
    for worker, theirs in client.run(needed).items():
        for name, version in ours.items():
            if theirs.get(name) != version:
                raise AskError(
                    f"the Dask worker {worker} has {name} {theirs.get(name)} and this process {version}; "
                    "allowed: the same versions everywhere, so that numbers are the same"
                )


def answers(
    client: Any, task: Callable[[bytes, int], bytes], common: bytes, todo: Sequence[int]
) -> Iterator[tuple[int, bytes]]:
    """Yield the answers of tasks as they are finished; a lost worker's tasks go to others.

    Parameters
    ----------
    task
        Called with what all tasks share, and a number.
    common, todo
        What they share, and the numbers.
    """
    import distributed

    left = iter(todo)
    shared = client.scatter(common, broadcast=True, hash=False)
    width = 2 * max(1, sum(client.nthreads().values())) + 2

    def submit(number: int) -> Any:
        return client.submit(task, shared, number, key=f"sib-{id(shared)}-{number}", pure=False)

    numbers = {}
    first = []
    for number in itertools.islice(left, width):
        future = submit(number)
        numbers[future.key] = number
        first.append(future)
    waiting: Any = distributed.as_completed(first, loop=client.loop)  # type: ignore[no-untyped-call]
    for future in waiting:
        number = numbers.pop(future.key)
        answer = future.result()
        for following in itertools.islice(left, 1):
            added = submit(following)
            numbers[added.key] = following
            waiting.add(added)
        yield number, answer
