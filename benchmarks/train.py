"""Training speed of custodes and of its peers on one workload: `python -m benchmarks.train [--json]`.

Environment steps per second including the updates, each program in one process with one torch thread. What is and what
is not equal between them stands in docs/performance.md. `--install` makes the environments of the peers first.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from benchmarks.train_peers.install import ENVIRONMENTS, install
from benchmarks.train_peers.registry import PROGRAMS
from benchmarks.train_peers.rounds import interpreter, run_rounds
from benchmarks.train_peers.summary import summarise, table
from benchmarks.train_peers.workload import Workload, environment_speed


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.train", description=__doc__)
    made.add_argument("--json", action="store_true", help="print one JSON object on standard output and nothing else")
    made.add_argument("--programs", default=",".join(PROGRAMS), help="comma-separated (default: %(default)s)")
    made.add_argument("--rounds", type=int, default=5, help="turns of each program; the median counts (default: 5)")
    made.add_argument("--seconds", type=float, default=10.0, help="length of a turn (default: 10)")
    made.add_argument("--seed", type=int, default=0, help="of the environment and the networks (default: 0)")
    made.add_argument(
        "--install",
        nargs="*",
        metavar="ENVIRONMENT",
        choices=tuple(ENVIRONMENTS),
        help=f"make peers' environments ({', '.join(ENVIRONMENTS)}) and end; none named: those that a program lacks",
    )
    return made


def lacking() -> list[str]:
    """Environments of programs that no interpreter here can run."""
    absent = {entry.environment for name, entry in PROGRAMS.items() if interpreter(name)[0] is None}
    return [name for name in ENVIRONMENTS if name in absent]


def install_all(names: Sequence[str]) -> int:
    """Make environments; 0 when all were made."""
    problems = {name: problem for name in names or lacking() if (problem := install(name))}
    for name, problem in problems.items():
        print(f"{name}: {problem}", file=sys.stderr)
    return 1 if problems else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark.

    Returns:
        0; or 1 when a program that is installed failed, or an environment could not be made.
    """
    line = parser()
    options = line.parse_args(arguments)
    if options.install is not None:
        return install_all(options.install)
    names = [name for name in options.programs.split(",") if name]
    unknown = [name for name in names if name not in PROGRAMS]
    if unknown or not names:
        line.error(f"--programs: no such program: {', '.join(unknown) or '(none given)'}; use {', '.join(PROGRAMS)}")
    if options.rounds < 1 or options.seconds <= 0:
        line.error("--rounds must be at least 1 and --seconds more than 0")
    workload = Workload()
    speed = environment_speed(workload, options.seed)
    result = run_rounds(names, options.rounds, options.seconds, options.seed, {})
    summary = summarise(result, workload, speed, options.seconds)
    print(json.dumps(summary) if options.json else table(summary))
    return 1 if result.failed else 0


if __name__ == "__main__":
    sys.exit(main())
