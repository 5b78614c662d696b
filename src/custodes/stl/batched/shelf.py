"""Compiled formulas between calls: a few, and never one in two hands."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Lock
from typing import final

from custodes.stl.batched.passes import Block
from custodes.stl.batched.program import Program
from custodes.stl.batched.scratch import Array


@final
class Shelf:
    """Keeps programs, and lends each to one thread at a time.

    A program computes in buffers of its own, so it is off the shelf while it runs: a thread that wants the same one at
    that moment compiles another.

    Args:
        limit: Bytes of buffers that are kept; what was used longest ago goes first.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._programs: dict[Hashable, Program] = {}
        self._lock = Lock()

    def run(self, key: Hashable, compiled: Callable[[], Program], block: Block, out: Array) -> None:
        """Run the program of a key, compiled where there is none; otherwise as `Program.run`."""
        with self._lock:
            program = self._programs.pop(key, None)
        program = program or compiled()
        try:
            program.run(block, out)
        finally:
            with self._lock:
                self._programs[key] = program
                self._shrink()

    def nbytes(self) -> int:
        """Bytes of all buffers on the shelf."""
        return sum(program.nbytes for program in list(self._programs.values()))

    def _shrink(self) -> None:
        while self.nbytes() > self._limit:
            del self._programs[next(iter(self._programs))]
