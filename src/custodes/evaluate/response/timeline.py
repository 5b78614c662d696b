"""`timeline-<split>.json`: one attack as the team met it, event by event."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from custodes.errors import CustodesError

FORMAT: Final = 1
"""Version of the record."""
SHOWN: Final = 20
"""Interventions of the shield that are kept."""

Severity = Annotated[int, msgspec.Meta(ge=0, le=3)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Moment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One event of the attack's processes, and what was decided about it."""

    second: float
    """Since the first of them."""
    process: Annotated[int, msgspec.Meta(ge=0)]
    """Place in `Timeline.processes`."""
    channel: str
    malicious: bool
    """By its true label."""
    executed: bool
    """False where its process was blocked, gone or withheld by then."""
    votes: tuple[Severity, ...]
    action: Severity
    standing: Literal["free", "open", "cleared", "gone"]
    alert: bool
    robustness: float
    """Of `Timeline.rule` at this event [s]; below 0 the rule is violated."""


class Intervention(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One decision that the shield replaced."""

    time: int
    """Of the event [ns UTC]."""
    process: str
    rule: str
    why: str
    voted: Severity
    action: Severity


class Shielded(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the shield did on the whole part."""

    decisions: Annotated[int, msgspec.Meta(ge=0)]
    """Decisions of the part."""
    by_rule: dict[str, int]
    """How many each hard rule replaced, those without any included."""
    unavoidable: Annotated[int, msgspec.Meta(ge=0)]
    """Decisions at which no action was safe."""
    interventions: tuple[Intervention, ...]
    """The first ones."""


class Timeline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The attack tree of which the team prevented most."""

    format: Positive = FORMAT
    dataset: str
    split: Literal["train", "validation", "test"]
    f: Annotated[int, msgspec.Meta(ge=0)]
    rule: str
    """What the robustness is of."""
    processes: tuple[str, ...]
    """Names of the processes, in the order in which they came."""
    malicious: Positive
    """Malicious events of the tree in the part."""
    prevented: Annotated[int, msgspec.Meta(ge=0)]
    """Of them, those that did not execute."""
    moments: tuple[Moment, ...]
    """In the order of time; the last ones may be left out."""
    left_out: Annotated[int, msgspec.Meta(ge=0)]
    """Further events of the tree."""
    shield: Shielded | None = None
    """None where no rules were watched."""


def encode_timeline(timeline: Timeline) -> bytes:
    """As JSON with a final newline."""
    return msgspec.json.encode(timeline) + b"\n"


def read_timeline(path: Path) -> Timeline:
    """Read one.

    Raises:
        CustodesError: The file cannot be read or does not hold.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Timeline)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CustodesError(f"cannot read it: {reason}", where=str(path), fix="make the report again") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CustodesError(f"no timeline: {error}", where=str(path), fix="make it again or delete it") from None
    if found.format != FORMAT:
        raise CustodesError(
            f"timeline of format {found.format}, this version reads {FORMAT}", where=str(path), fix="make it again"
        )
    return found
