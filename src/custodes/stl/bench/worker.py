"""A running engine: jobs in, answers out, one JSON line each."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, final

from custodes.stl.bench.environments import ONE_THREAD

PEERS: Final = Path(__file__).parent / "peers"
PATIENCE: Final = 300.0
"""Seconds that an answer may take beyond the time that the job was given."""


class WorkerError(Exception):
    """An engine that is installed did not do its work; the message is one line."""


class WorkerEndedError(WorkerError):
    """And will do no other."""


@final
class Worker:
    """One engine in a process of its own."""

    def __init__(self, name: str, python: Path) -> None:
        """Start it.

        Args:
            name: Engine; its adapter is `peers/<name>_peer.py`.
            python: Interpreter that finds the engine.
        """
        self.name = name
        self._errors = tempfile.TemporaryFile(mode="w+", errors="replace")  # noqa: SIM115 - closed by `stop`
        self._process = subprocess.Popen(
            [str(python), str(PEERS / "driver.py"), f"{name}_peer"],
            env=os.environ | ONE_THREAD,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def ask(self, kind: str, **job: Any) -> dict[str, Any]:
        """Do one job and wait for it.

        Raises:
            WorkerError: The engine failed at this job.
            WorkerEndedError: The process ended, or took far too long.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"kind": kind, **job}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerEndedError(self._last_words()) from None
        patience = float(job.get("seconds", 0.0)) + PATIENCE
        if not select.select([self._process.stdout], [], [], patience)[0]:
            raise WorkerEndedError(f"no answer within {patience:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise WorkerEndedError(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def _last_words(self) -> str:
        code = self._process.wait(timeout=30)
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return f"ended with {code}: {lines[-1].strip() if lines else 'no message'}"

    def stop(self) -> None:
        """End the process: at the end of its input it ends by itself; one that hangs is killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
