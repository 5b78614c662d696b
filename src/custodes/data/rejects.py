"""Malformed lines: counted, kept with their reason, and refused when there are too many."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from custodes.errors import CustodesError

_TEXT_LIMIT: Final = 1 << 16
_HOPELESS: Final = 1000


class RejectLog:
    """Counts lines and keeps the bad ones.

    The rejects file holds a JSON object per bad line: `file`, `line` (from 1), `reason`, `text` (at most 65,536
    characters, bytes that are no UTF-8 escaped). It is written aside and takes its place when the log is closed, also
    when the load fails.

    Args:
        path: Rejects file; None keeps counts and the first reason only.
        limit: Share of bad lines above which `check` refuses, in [0, 1].

    Raises:
        CustodesError: The limit is not a share.
    """

    def __init__(self, *, path: Path | None = None, limit: float = 0.01) -> None:
        if not 0 <= limit <= 1:
            raise CustodesError(f"{limit} is not a share from 0 to 1", where="data.max_rejects", fix="such as 0.01")
        self._path, self._limit = path, limit
        self._file: IO[str] | None = None
        self._first = ""
        self.lines = 0
        self.rejected = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._publish()

    def begin(self) -> None:
        """Start the file, so that an earlier load's rejects are not taken for this one's."""
        if self._path is not None and self._file is None:
            with _explained(self._path):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._aside().open("w", encoding="utf-8")

    def saw(self, lines: int) -> None:
        """Count lines, good or bad."""
        self.lines += lines

    def add(self, *, file: str, line: int, reason: str, text: str | bytes) -> None:
        """Keep one bad line.

        Raises:
            CustodesError: The rejects file cannot be written, or no line at all was good so far among a thousand.
        """
        self.rejected += 1
        self._first = self._first or f"line {line}: {reason}"
        if self._file is not None and self._path is not None:
            shown = text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text
            row = {"file": file, "line": line, "reason": reason, "text": shown[:_TEXT_LIMIT]}
            with _explained(self._path):
                self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        if self.rejected == self.lines >= _HOPELESS and self._limit < 1:
            self.check(where=file)

    def check(self, *, where: str) -> None:
        """Refuse when more than the allowed share of the lines is bad.

        Raises:
            CustodesError: names both numbers, the first bad line and the rejects file.
        """
        if self.rejected > self._limit * self.lines:
            kept = f"see {self._path}" if self._path else "name a rejects file to keep them"
            raise CustodesError(
                f"{self.rejected} of {self.lines} lines are malformed, more than {self._limit:.2%} ({self._first})",
                where=where,
                fix=f"{kept}, repair them or raise data.max_rejects",
            )

    def _aside(self) -> Path:
        assert self._path is not None
        return self._path.with_name(f".{self._path.name}.{os.getpid()}.part")

    def _publish(self) -> None:
        assert self._file is not None
        assert self._path is not None
        with _explained(self._path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._aside().replace(self._path)
        self._file = None


@contextlib.contextmanager
def _explained(path: Path):  # type: ignore[no-untyped-def]
    try:
        yield
    except OSError as error:
        raise CustodesError(
            f"cannot write the rejects: {error.strerror}", where=str(path), fix="name another file"
        ) from error
