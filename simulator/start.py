"""The entry point of the command: an interrupt while everything else is imported is no traceback either."""

import os
import signal


def _quit(*_: object) -> None:
    os.write(2, b"interrupted\n")
    os._exit(130)


def main() -> None:
    """Run `sib`; the command sets its own handler once it is there."""
    signal.signal(signal.SIGINT, _quit)
    from simulator.cli import main as run

    run()
