"""Waiting for the disk beside the event loop: one thread per file, requests meanwhile served by the next wait."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import final

Work = Callable[[], int]
"""Makes durable what was written before the call."""


@final
class Disk:
    """Threads that wait for the disk.

    Args:
        loop: Where answers are given.
        failed: Called there with what went wrong.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, failed: Callable[[Exception], None]) -> None:
        self._loop, self._failed = loop, failed
        self._lanes: dict[Work, _Lane] = {}

    def request(self, work: Work, done: Callable[[int], None]) -> None:
        """Call `work` in its thread soon, then `done` with its result here; several requests may be served by one."""
        lane = self._lanes.get(work)
        if lane is None:
            lane = self._lanes[work] = _Lane(self._loop, work, done, self._failed)
        lane.wanted.set()

    def close(self) -> None:
        """End the threads; what is under way is waited for."""
        for lane in self._lanes.values():
            lane.close()
        self._lanes.clear()


@final
class _Lane:
    """One thread."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Work,
        done: Callable[[int], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._loop, self._work, self._done, self._failed = loop, work, done, failed
        self._ending = False
        self.wanted = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ending = True
        self.wanted.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self.wanted.wait()
            # Cleared before the work, so that what is written during it is waited for again.
            self.wanted.clear()
            if self._ending:
                return
            try:
                result = self._work()
            except Exception as error:
                self._answer(self._failed, error)
                return
            self._answer(self._done, result)

    def _answer(self, call: Callable[..., None], value: object) -> None:
        with contextlib.suppress(RuntimeError):  # The loop has ended.
            self._loop.call_soon_threadsafe(call, value)
