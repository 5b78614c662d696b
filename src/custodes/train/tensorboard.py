"""TensorBoard events of a run, written by the thread that trains: a full disk is heard here, not in another thread."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

SKIPPED: Final = frozenset({"iteration", "decisions", "action_shares"})
FOLDER: Final = "tensorboard"


class EventLog:
    """Writes an iteration's numbers to `<run>/tensorboard`; a disk that refuses ends the log, not the run.

    Args:
        path: The run folder.
        iteration: Iterations done; TensorBoard drops what an earlier process wrote about later ones.
        enabled: False writes nothing.
        warn: Gets one line when the disk refuses.
    """

    def __init__(self, path: Path, iteration: int, *, enabled: bool, warn: Callable[[str], None]) -> None:
        self._warn, self._path = warn, path / FOLDER
        self._writer: Any = None
        if enabled:
            self._open(iteration)

    def _open(self, iteration: int) -> None:
        # Imported here: it takes a moment, and a run may do without it.
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        name = f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
        with self._heard():
            self._path.mkdir(exist_ok=True)
            self._writer = RecordWriter(open(self._path / name, "wb"))  # noqa: SIM115
            self._add(Event(wall_time=time.time(), file_version="brain.Event:2"))
            start = SessionLog(status=SessionLog.START)
            self._add(Event(wall_time=time.time(), step=iteration + 1, session_log=start))

    def __enter__(self) -> Self:
        """The log itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Flush and close."""
        if self._writer is not None:
            with self._heard():
                self._writer.close()

    def write(self, line: Mapping[str, Any]) -> None:
        """Add one iteration's metrics, lists by agent."""
        if self._writer is None:
            return
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in _flat(line)]
        with self._heard():
            self._add(Event(wall_time=time.time(), step=line["iteration"], summary=Summary(value=values)))
            self._writer.flush()

    def _add(self, event: Any) -> None:
        self._writer.write(event.SerializeToString())

    @contextlib.contextmanager
    def _heard(self) -> Any:
        """Turn an error of the disk into one line, and stop logging."""
        try:
            yield
        except OSError as error:
            with contextlib.suppress(OSError):
                self._writer.close()
            self._writer = None
            reason = (error.strerror or str(error)).lower()
            self._warn(f"{self._path}: {reason}; training goes on without TensorBoard events")


def _flat(line: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Numbers with their tags; a list gives one tag per agent."""
    found: list[tuple[str, float]] = []
    for name, value in line.items():
        if name in SKIPPED or value is None:
            continue
        if isinstance(value, Mapping):
            found += [(f"{name}/{tag}", number) for tag, number in _flat(value)]
            continue
        parts = enumerate(value) if isinstance(value, list) else ((None, value),)
        found += [(name if agent is None else f"{name}/{agent}", float(part)) for agent, part in parts]
    return found
