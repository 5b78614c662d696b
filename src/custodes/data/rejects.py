"""Malformed lines: counted, kept with their reason, and refused when there are too many."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from custodes.errors import CustodesError

_TEXT_LIMIT: Final = 1 << 16
_HOPELESS: Final = 1000
_KEYS: Final = ("file", "line", "reason", "text")
_LONGEST_ROW: Final = 1 << 20


class RejectLog:
    """Counts lines and keeps the bad ones.

    The rejects file holds a JSON object per bad line: `file`, `line` (from 1), `reason`, `text` (at most 65,536
    characters, bytes that are no UTF-8 escaped). It is written aside and takes its place when the log is closed, also
    when the load fails. Only a rejects file (or an empty file) is ever replaced.

    Args:
        path: Rejects file; None keeps counts and the first reason only.
        limit: Share of bad lines above which `check` refuses, in [0, 1].
        apart_from: Other files that the work reads or writes, which the rejects file must not be; "" names none.

    Raises:
        CustodesError: The limit is not a share; or the path is one of the other files, or exists and is no rejects
            file.
    """

    def __init__(self, *, path: Path | None = None, limit: float = 0.01, apart_from: Iterable[str | Path] = ()) -> None:
        if not 0 <= limit <= 1:
            raise CustodesError(f"{limit} is not a share from 0 to 1", where="data.max_rejects", fix="such as 0.01")
        if path is not None:
            with _explained(path):
                _refuse_target(path, [Path(other) for other in apart_from if str(other)])
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
            with self._or_nothing():
                self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        if self.rejected == self.lines >= _HOPELESS and self._limit < 1:
            self.check(where=file)

    def check(self, *, where: str) -> None:
        """Refuse when more than the allowed share of the lines is bad.

        Raises:
            CustodesError: names both numbers, the first bad line and the rejects file.
        """
        if self.rejected > self._limit * self.lines:
            kept = f"see {self._path}" if self._path else "name --rejects FILE to keep them"
            raise CustodesError(
                f"{self.rejected} of {self.lines} lines are malformed, more than {self._limit:.2%} ({self._first})",
                where=where,
                fix=f"{kept}, repair them or raise data.max_rejects",
            )

    def _aside(self) -> Path:
        assert self._path is not None
        return self._path.with_name(f".{self._path.name}.{os.getpid()}.rejects.part")

    def _publish(self) -> None:
        assert self._file is not None
        assert self._path is not None
        with self._or_nothing():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._aside().replace(self._path)
        self._file = None

    @contextlib.contextmanager
    def _or_nothing(self) -> Iterator[None]:
        """Explain a failed write, and leave nothing of the file behind."""
        assert self._file is not None
        assert self._path is not None
        try:
            with _explained(self._path):
                yield
        except CustodesError:
            with contextlib.suppress(OSError):
                self._file.close()
            with contextlib.suppress(OSError):
                self._aside().unlink(missing_ok=True)
            self._file = None
            raise


def left_out_note(rejected: int, kept: Path | None) -> str | None:
    """Sentence that tells people of malformed lines that a load left out.

    Args:
        rejected: Malformed lines, at least 0.
        kept: Rejects file that holds them; None when they were only counted.

    Returns:
        One line, or None when no line was left out.
    """
    if not rejected:
        return None
    what = "1 malformed line" if rejected == 1 else f"{rejected:,} malformed lines"
    them = "it" if rejected == 1 else "them"
    return f"{what} left out ({f'kept in {kept}' if kept is not None else f'name --rejects FILE to keep {them}'})"


def _refuse_target(path: Path, others: list[Path]) -> None:
    """Refuse to write rejects over another file of the work, or over anything but an earlier rejects file."""
    if any(_same(path, other) for other in others):
        raise CustodesError(
            "the rejects would overwrite a file that is read or written here", where=str(path), fix="name another file"
        )
    if path.exists() and not _holds_rejects(path):
        raise CustodesError("the file exists and holds no rejects", where=str(path), fix="name another file")


def _same(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return one.samefile(other)
    return os.path.realpath(one) == os.path.realpath(other)


def _holds_rejects(path: Path) -> bool:
    """Whether a file is empty or begins with a row of `RejectLog`."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        first = file.readline(_LONGEST_ROW)
    if not first:
        return True
    try:
        row = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and tuple(row) == _KEYS


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CustodesError(
            f"cannot write the rejects: {error.strerror}", where=str(path), fix="name another file"
        ) from error
