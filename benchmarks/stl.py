"""Speed of the rules beside their peers: `python -m benchmarks.stl [--json]`, the same as `custodes stl bench`.

`--install` makes the peers' environments (`.venv-bench-sentil`, `-rtamt`, `-stlcgpp` in this folder) and ends.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from custodes.stl.bench import ENVIRONMENTS, install, run_bench, table
from custodes.stl.bench.environments import interpreter


def install_all(names: Sequence[str]) -> int:
    """Make the environments named, or those that no interpreter here can do without; 0 when all were made."""
    lacking = [name for name in ENVIRONMENTS if interpreter(name)[0] is None]
    problems = [problem for name in names or lacking if (problem := install(name))]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark.

    Returns:
        0; or 1 when an engine that is installed failed, or an environment could not be made.
    """
    line = argparse.ArgumentParser(prog="python -m benchmarks.stl", description=__doc__)
    line.add_argument("--json", action="store_true", help="print one JSON object on standard output and nothing else")
    line.add_argument("--rounds", type=int, default=5, help="turns of each engine; the median counts (default: 5)")
    line.add_argument("--seconds", type=float, default=0.5, help="length of a turn (default: 0.5)")
    line.add_argument("--no-peers", action="store_true", help="custodes alone")
    line.add_argument(
        "--install",
        nargs="*",
        metavar="PEER",
        choices=tuple(ENVIRONMENTS),
        help=f"make environments ({', '.join(ENVIRONMENTS)}) and end; none named: those that are missing",
    )
    options = line.parse_args(arguments)
    if options.install is not None:
        return install_all(options.install)
    if options.rounds < 1 or options.seconds <= 0:
        line.error("--rounds must be at least 1 and --seconds more than 0")
    result = run_bench(rounds=options.rounds, seconds=options.seconds, peers=not options.no_peers)
    print(json.dumps(result) if options.json else table(result))
    return 1 if result["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
