"""One program in a process of its own: `python -m benchmarks.train_peers.worker PROGRAM SEED`.

Reads one number per line (seconds of the next turn) from standard input and answers with one JSON object per line; ends
at the end of the input. The module of the program is imported here only, so that this runs in an environment that holds
nothing but that program.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from dataclasses import replace
from importlib import metadata
from typing import Any, TextIO

from benchmarks.train_peers.program import Finished, Gate
from benchmarks.train_peers.registry import PROGRAMS
from benchmarks.train_peers.workload import Workload

WARMUP = 2


def answers_only(stream: TextIO) -> TextIO:
    """Keep standard output for the answers: whatever a library prints goes to standard error instead."""
    private = os.fdopen(os.dup(stream.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), stream.fileno())
    return private


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Installed version by package."""
    return {name: metadata.version(name) for name in packages}


def main(name: str, seed: int, overrides: dict[str, Any]) -> None:
    """Build the program, then let the parent process time it turn by turn."""
    out = answers_only(sys.stdout)

    import torch  # after the thread variables, which the parent sets, and only in the worker: the parent needs no torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    entry = PROGRAMS[name]
    workload = replace(Workload(), **overrides)
    factory = getattr(importlib.import_module(entry.module), entry.factory)
    program = factory(workload, seed, **entry.settings)

    def say(message: dict[str, Any]) -> None:
        out.write(json.dumps(message) + "\n")

    def wait() -> float | None:
        line = sys.stdin.readline()
        return float(line) if line.strip() else None

    say(
        {
            "parameters": program.parameters,
            "note": program.note,
            "versions": versions(entry.packages),
            "threads": torch.get_num_threads(),
        }
    )
    gate = Gate(warmup=WARMUP, wait=wait, report=say, players=program.players, samples=workload.samples)
    try:
        program.train(gate)
    except Finished:
        return
    raise SystemExit(f"{name}: the training loop ended by itself")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]) if len(sys.argv) > 3 else {})
