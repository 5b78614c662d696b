"""What a rule may speak of: signals of one process, a sample at each of its events (docs/obeying.md).

The same names mean the same in training (lanes of the environment), in scoring (a full replay) and live. Those marked
`truth` read the true label or what comes later: rules that use them carry the tag "label", and do not run live.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from custodes.data.features import Encoder
from custodes.data.schema import MALICIOUS
from custodes.env.response.recording import Recording
from custodes.stl.errors import StlError
from custodes.stl.specfile import SignalInfo

Floats = NDArray[np.float32]

RECENT: Final = 1000
"""Events of the whole team over which `alerts_recent` and `contained_recent` count."""
EVIDENCE: Final = ("reputation", "standing")
"""Feature groups whose largest input at an event is its `evidence`."""


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What a signal is."""

    unit: str
    """Of its values."""
    description: str
    """What it says of the process at one of its events, before that event executes."""
    truth: bool = False
    """Reads the true label."""
    momentary: bool = False
    """Says what happens at this very event; others say what stands."""


EVENT: Final[Mapping[str, Meaning]] = {
    "event": Meaning(unit="count", description="number of this event in the process's life, from 1"),
    "first": Meaning(unit="0 or 1", description="this is the first event of the process", momentary=True),
    "age_s": Meaning(unit="s", description="time since the first event of the process"),
    "evidence": Meaning(
        unit="share, 0 to below 1",
        description="largest input of the groups reputation and standing: how bad what it touched, or runs, is known "
        "to be from training; 0 where the run has neither group",
    ),
    "malicious": Meaning(unit="0 or 1", description="this event is malicious", truth=True, momentary=True),
    "turned": Meaning(
        unit="0 or 1", description="this is the first malicious event of the process", truth=True, momentary=True
    ),
    "threat": Meaning(unit="0 or 1", description="the process has turned malicious, now or before", truth=True),
    "threat_s": Meaning(unit="s", description="time since it turned malicious; 0 before", truth=True),
    "innocent": Meaning(
        unit="0 or 1", description="the process never does anything malicious in the recording", truth=True
    ),
}
"""Signals that the recording alone gives."""

ACTED: Final[Mapping[str, Meaning]] = {
    "decision": Meaning(
        unit="severity", description="0 Allow, 1 Alert, 2 Quarantine, 3 Block, as decided", momentary=True
    ),
    "votes": Meaning(unit="agents", description="agents that voted Alert or more", momentary=True),
    "alert": Meaning(unit="0 or 1", description="an alert is raised now (also by a Quarantine)", momentary=True),
    "quarantine": Meaning(unit="0 or 1", description="a Quarantine begins now; renewals do not", momentary=True),
    "block": Meaning(unit="0 or 1", description="the team blocks the process now", momentary=True),
    "contain": Meaning(unit="0 or 1", description="a Quarantine begins or the team blocks now", momentary=True),
    "contained": Meaning(unit="0 or 1", description="this event does not execute now: withheld, blocked or gone"),
    "open": Meaning(unit="0 or 1", description="an alert is open: an analyst has not answered yet"),
    "cleared": Meaning(unit="0 or 1", description="an analyst found it benign, and that verdict stands"),
    "alerts_recent": Meaning(
        unit="alerts", description=f"alerts per {RECENT:,} events of all processes, over the latest {RECENT:,} events"
    ),
    "contained_recent": Meaning(
        unit="containments", description="Quarantines begun and Blocks, in the same way as alerts_recent"
    ),
    "harm": Meaning(unit="0 or 1", description="this event is malicious and executes", truth=True, momentary=True),
}
"""Signals that follow from what the team does."""

SIGNALS: Final[Mapping[str, Meaning]] = {**EVENT, **ACTED}
"""Every signal; beside them a rule may name, in quotes, any input of the agents."""


def is_truth(name: str) -> bool:
    """Whether a signal reads the true label."""
    return name in SIGNALS and SIGNALS[name].truth


def is_momentary(name: str) -> bool:
    """Whether a signal says what happens at an event, so that it is 0 at a sample at which nothing happens."""
    return name in SIGNALS and SIGNALS[name].momentary


def declared(names: Iterable[str]) -> dict[str, SignalInfo]:
    """Unit and description of signals, as spec files declare them."""
    return {
        name: SignalInfo(unit=SIGNALS[name].unit, description=SIGNALS[name].description)
        for name in names
        if name in SIGNALS
    }


def event_signals(
    recording: Recording, features: NDArray[np.float32], encoder: Encoder, names: Iterable[str]
) -> dict[str, Floats]:
    """Signals that need no team, for each event of a part.

    Args:
        recording: The part, M events.
        features: float32 [N, D], all inputs of the data set.
        encoder: What the D inputs are.
        names: Signals wanted; those of `ACTED` are left out.

    Returns:
        float32 [M] each, in the order of `recording.rows`.

    Raises:
        StlError: A name is neither a signal nor an input.
    """
    inputs = {column.name: place for place, column in enumerate(encoder.columns)}
    made: dict[str, Floats] = {}
    lives: _Lives | None = None
    for name in names:
        if name in ACTED:
            continue
        if name == "evidence":
            made[name] = _evidence(recording, features, encoder)
        elif name in EVENT:
            lives = lives or _Lives(recording)
            made[name] = lives.signal(name)
        elif name in inputs:
            made[name] = features[recording.source, inputs[name]].astype(np.float32)
        else:
            raise unknown_signal(name, inputs)
    return made


def unknown_signal(name: str, inputs: Iterable[str]) -> StlError:
    """The error of a rule that speaks of something else."""
    known = (*SIGNALS, *inputs)
    near = difflib.get_close_matches(name, known, n=1)
    fix = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(SIGNALS)}, and the names of inputs in quotes"
    return StlError("there is no such signal", where=f"signal {name!r}", fix=fix)


def _evidence(recording: Recording, features: NDArray[np.float32], encoder: Encoder) -> Floats:
    columns = [place for place, column in enumerate(encoder.columns) if column.group in EVIDENCE]
    if not columns:
        return np.zeros(len(recording.rows), dtype=np.float32)
    found: Floats = features[recording.source][:, columns].max(axis=1).astype(np.float32)
    return found


class _Lives:
    """A part's events, process by process."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        entity = recording.forest.entity[recording.rows]
        self._entity = entity
        self._order = np.argsort(entity, kind="stable")
        ordered = entity[self._order]
        self._begin = np.searchsorted(ordered, ordered)
        self._clock = recording.clock[recording.rows][self._order]
        self._bad = (recording.labels[recording.rows] == MALICIOUS)[self._order]

    def signal(self, name: str) -> Floats:
        """One of `EVENT` but `evidence`, float32 [M] in the order of the part."""
        place = np.arange(len(self._order))
        if name == "innocent":
            return self._recording.innocent[self._entity].astype(np.float32)
        if name in ("event", "first", "age_s"):
            number = place - self._begin + 1
            values = {
                "event": number,
                "first": number == 1,
                "age_s": self._clock - self._clock[self._begin],
            }[name]
            return self._back(values)
        if name == "malicious":
            return self._back(self._bad)
        count = np.cumsum(self._bad)
        before = count - self._bad
        so_far = count - before[self._begin]
        turned = self._bad & (so_far == 1)
        if name == "turned":
            return self._back(turned)
        threat = so_far > 0
        if name == "threat":
            return self._back(threat)
        # The time of the first malicious event is carried on by a running maximum, since clocks do not step back.
        began = np.maximum.accumulate(np.where(turned, place, 0))
        return self._back(np.where(threat, self._clock - self._clock[began], 0.0))

    def _back(self, values: NDArray[np.generic]) -> Floats:
        """From the order of processes to that of the part."""
        made = np.empty(len(values), dtype=np.float32)
        made[self._order] = values
        return made
