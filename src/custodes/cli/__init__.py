"""The command line. Every command is thin: it reads flags, calls the package below, and prints."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the `custodes` program."""
    from custodes.cli.entry import run

    sys.exit(run(sys.argv[1:]))
