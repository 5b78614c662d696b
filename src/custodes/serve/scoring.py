"""JSON lines in, JSON lines out: a running team behind a pipe."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, final

import msgspec

from custodes.data.rejects import RejectLog
from custodes.data.sources.lines import LINE_LIMIT
from custodes.errors import CustodesError
from custodes.serve.team import BATCH, Team
from custodes.train.jsontext import json_line

_PIECE: Final = 1 << 16
_SHOWN: Final = 1 << 16
VERDICT: Final = "verdict"
"""Key of a line that is no event but an analyst's answer."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a run over some lines came to."""

    lines: int
    """Lines that were not blank."""
    decisions: int
    """Lines that were events."""
    verdicts: int
    """Lines that were an analyst's answer."""
    rejected: int
    """Lines that were neither."""


def read_lines(handle: int) -> Iterator[list[bytes]]:
    """Whole lines as they arrive, those of one read together; of a line that is too long only the beginning.

    Args:
        handle: File or pipe to read.
    """
    rest, skipping = b"", False
    while piece := os.read(handle, _PIECE):
        *lines, rest = (rest + piece).split(b"\n")
        if skipping and lines:
            lines, skipping = lines[1:], False
        if len(rest) > LINE_LIMIT:
            if not skipping:
                lines.append(rest)
            rest, skipping = b"", True
        if lines:
            yield lines
    if rest and not skipping:
        yield [rest]


@final
class Scorer:
    """Answers every line with one line, in their order.

    Args:
        team: Decides.
        write: Takes text; called once for the lines of one read, which are to be flushed then.
        log: Counts and keeps malformed lines.
        name: What to call the input in the log.
    """

    def __init__(self, team: Team, write: Callable[[str], None], log: RejectLog, name: str) -> None:
        self._team, self._write, self._log, self._name = team, write, log, name
        self._decode = msgspec.json.Decoder().decode
        self._lines = self._decisions = self._verdicts = 0
        self._waiting: list[tuple[int, dict[str, Any]]] = []
        self._answers: list[str] = []

    @property
    def scored(self) -> Scored:
        """What it came to so far."""
        return Scored(
            lines=self._log.lines,
            decisions=self._decisions,
            verdicts=self._verdicts,
            rejected=self._log.rejected,
        )

    def take(self, lines: list[bytes]) -> None:
        """Answer some lines.

        Raises:
            CustodesError: The rejects cannot be kept, or no line at all was good among a thousand.
        """
        for line in lines:
            self._lines += 1
            if self._lines == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line.strip():
                continue
            self._log.saw(1)
            try:
                self._one(line)
            except CustodesError as error:
                self._reject(line, error.what)
        self._decide()
        answers, self._answers = self._answers, []
        if answers:
            self._write("".join(answers))

    def _one(self, line: bytes) -> None:
        """Take one line.

        Raises:
            CustodesError: It is neither an event nor an answer.
        """
        if len(line) > LINE_LIMIT:
            raise CustodesError(f"longer than {LINE_LIMIT:,} bytes")
        try:
            row = self._decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise CustodesError(f"not JSON: {error}") from None
        if not isinstance(row, dict):
            raise CustodesError("not a JSON object")
        if VERDICT in row:
            self._decide()
            self._answer(row)
            return
        self._waiting.append((self._lines, self._team.check(row)))
        if len(self._waiting) >= BATCH:
            self._decide()

    def _decide(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        for (line, _), decision in zip(waiting, self._team.decide([event for _, event in waiting]), strict=True):
            self._say({"line": line, **decision.to_json()})
        self._decisions += len(waiting)

    def _answer(self, row: dict[str, Any]) -> None:
        """Take an analyst's answer."""
        said = row[VERDICT]
        unknown = sorted(row.keys() - {VERDICT, "entity", "stream", "time"})
        if unknown:
            raise CustodesError(f"unknown key {unknown[0]!r} beside a verdict")
        if said not in ("malicious", "benign", None):
            raise CustodesError(f"verdict is {said!r}, not malicious, benign or null")
        entity, stream, time = row.get("entity"), row.get("stream", "host"), row.get("time")
        if not isinstance(entity, str) or not isinstance(stream, str):
            raise CustodesError("a verdict names no entity")
        if time is not None and type(time) is not int:
            raise CustodesError("time of a verdict is not a whole number of nanoseconds")
        malicious = None if said is None else said == "malicious"
        known = self._team.verdict(entity, malicious, stream=stream, time=time)
        self._verdicts += 1
        self._say({"line": self._lines, "verdict": said, "stream": stream, "entity": entity, "known": known})

    def _reject(self, line: bytes, reason: str) -> None:
        self._decide()
        self._say({"line": self._lines, "rejected": reason})
        self._log.add(file=self._name, line=self._lines, reason=reason, text=line[:_SHOWN])

    def _say(self, row: dict[str, Any]) -> None:
        self._answers.append(json_line(row) + "\n")
