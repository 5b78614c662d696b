"""Runs the programs in turns, each in one process of its own, and gathers what they answer."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.train_peers.install import ROOT, folder_of, missing_modules, python_of
from benchmarks.train_peers.registry import PROGRAMS

ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB_MAXIMUM")} | {
    "OMP_WAIT_POLICY": "PASSIVE",
    "CUDA_VISIBLE_DEVICES": "",
}
"""Set for every program before torch is imported; the worker also calls `torch.set_num_threads(1)`."""

PATIENCE = 300.0
"""Seconds that a program may take to start, or beyond the length of its turn, before it is given up."""


class ProgramError(Exception):
    """A program that is installed did not do its work; the message is one line."""


@dataclass
class Worker:
    """A running program."""

    name: str
    """Program."""
    process: subprocess.Popen[str]
    """Its process."""
    errors: Path
    """What it wrote to standard error."""
    hello: dict[str, Any] = field(default_factory=dict)
    """Parameters, note, versions, threads."""
    turns: list[dict[str, Any]] = field(default_factory=list)
    """One measurement per round."""

    def turn(self, seconds: float) -> None:
        """Train for about `seconds`, at least one iteration."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{seconds}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise ProgramError(self.last_words()) from None
        self.turns.append(self.answer(seconds + PATIENCE))

    def answer(self, patience: float) -> dict[str, Any]:
        """The next line that the program says."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], patience)
        if not ready:
            raise ProgramError(f"no answer within {patience:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            raise ProgramError(self.last_words())
        message: dict[str, Any] = json.loads(line)
        return message

    def last_words(self) -> str:
        """The last line of standard error, which names the exception when there was one."""
        self.process.wait(timeout=30)
        lines = self.errors.read_text(errors="replace").strip().splitlines()
        return f"ended with {self.process.returncode}: {lines[-1].strip() if lines else 'no message'}"

    def stop(self) -> None:
        """End the process, gently first."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            # A process that is gone already leaves a turn unread.
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def interpreter(name: str) -> tuple[Path | None, str]:
    """Which Python runs a program, or why none does."""
    entry = PROGRAMS[name]
    own = python_of(entry.environment) if entry.environment else None
    candidates = [python for python in (own, Path(sys.executable)) if python is not None and python.exists()]
    missing: list[str] = []
    for python in candidates:
        missing = missing_modules(python, entry.imports)
        if not missing:
            return python, ""
    how = f"; run: python -m benchmarks.train --install {entry.environment}" if own else ""
    where = f" ({folder_of(entry.environment).name} or here)" if own else ""
    return None, f"not installed: no module {missing[0]}{where}{how}"


def start(name: str, python: Path, seed: int, overrides: dict[str, Any], folder: Path) -> Worker:
    """Start a program and wait until it has said what it is."""
    errors = folder / f"{name}.err"
    command = [str(python), "-m", "benchmarks.train_peers.worker", name, str(seed), json.dumps(overrides)]
    with errors.open("w") as sink:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | ONE_THREAD,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sink,
            text=True,
        )
    worker = Worker(name=name, process=process, errors=errors)
    try:
        worker.hello = worker.answer(PATIENCE)
    except ProgramError:
        worker.stop()
        raise
    return worker


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """What came of the rounds."""

    workers: tuple[Worker, ...]
    """Programs that went through all rounds."""
    absent: dict[str, str]
    """Programs that are not installed, with the reason."""
    failed: dict[str, str]
    """Programs that are installed and did not work, with the reason."""


def run_rounds(names: Sequence[str], rounds: int, seconds: float, seed: int, overrides: dict[str, Any]) -> Rounds:
    """A B C, A B C, ...: neighbours in time see the same machine, which others may be using.

    Args:
        names: Programs.
        rounds: How often each has its turn.
        seconds: Length of a turn; the iteration under way at the end is finished and counted.
        seed: Of the environment and the networks.
        overrides: Fields of `Workload` to set otherwise.
    """
    absent: dict[str, str] = {}
    failed: dict[str, str] = {}
    workers: dict[str, Worker] = {}
    with tempfile.TemporaryDirectory(prefix="bench-train-") as folder:
        try:
            for name in names:
                python, reason = interpreter(name)
                if python is None:
                    absent[name] = reason
                    continue
                try:
                    workers[name] = start(name, python, seed, overrides, Path(folder))
                except ProgramError as error:
                    failed[name] = str(error)
            _take_turns(workers, rounds, seconds, failed)
        finally:
            for worker in workers.values():
                worker.stop()
    done = tuple(worker for name, worker in workers.items() if name not in failed)
    return Rounds(workers=done, absent=absent, failed=failed)


def _take_turns(workers: dict[str, Worker], rounds: int, seconds: float, failed: dict[str, str]) -> None:
    for number in range(rounds):
        for name, worker in workers.items():
            if name in failed:
                continue
            try:
                worker.turn(seconds)
            except ProgramError as error:
                failed[name] = str(error)
                continue
            turn = worker.turns[-1]
            speed = turn["steps"] / turn["seconds"]
            print(f"round {number + 1}/{rounds}  {name:21} {speed:10,.0f} steps/s", file=sys.stderr)
