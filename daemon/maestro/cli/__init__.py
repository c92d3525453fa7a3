"""maestroctl: one module per command, all of them clients of the control socket."""

from __future__ import annotations


def main() -> None:
    """The console script."""
    import sys

    from maestro.cli.entry import run

    sys.exit(run(sys.argv[1:]))
