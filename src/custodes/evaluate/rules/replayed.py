"""Rules judged over the processes of a replay: what the decisions met, what they did, what that came to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from custodes.bft.votes import ALERT
from custodes.env.response.recording import Recording
from custodes.env.response.replay import CLEARED, GONE, OPEN, Replayed
from custodes.team.rules.acted import Met, acted_signals, after_all
from custodes.team.rules.book import RuleBook
from custodes.team.rules.judge import Lives, judge
from custodes.team.rules.signals import ACTED, RECENT

Floats = NDArray[np.float32]
_UNANIMOUS: Final = 4
"""Votes that stand behind the decisions of a policy without agents."""


@final
@dataclass(frozen=True, kw_only=True)
class Held:
    """How one rule held."""

    triggered: int
    """Windows."""
    satisfied: int
    """Of them."""
    processes: int
    """Processes with a window."""
    lowest: float | None
    """Least robustness of a window, infinite ones left out; None without any."""
    mean: float | None
    """Mean of the same."""

    @property
    def rate(self) -> float | None:
        """Share of windows that were satisfied; None where there was none: nothing was shown."""
        return self.satisfied / self.triggered if self.triggered else None


def judge_replay(
    book: RuleBook,
    recording: Recording,
    replayed: Replayed,
    events: Mapping[str, Floats],
    votes: NDArray[np.integer] | None = None,
) -> dict[str, Held]:
    """How each rule held, over whole processes' lives in the part.

    A life ends with the recording, with the team's Block, or with one more sample at which the process is gone (a
    verdict, an ancestor's Block). A process that was never started has no windows but those of that sample.

    Args:
        book: The rules.
        recording: The part, M events.
        replayed: What decisions came to, with its trace.
        events: Signals that need no team (`event_signals`), float32 [M].
        votes: Each agent's, int [M, A] or [M, A, 3] by state, in the order of the part; None for a policy without.

    Raises:
        StlError: A signal is missing or not finite.
        ValueError: The replay has no trace (a defect of the caller).
    """
    signals = {**events, **_acted(recording, replayed, votes)}
    wanted = {name: torch.from_numpy(signals[name]) for name in book.signals}
    sums = {rule.name: _Sum() for rule in book.rules}
    for lives in _lives(recording, replayed, wanted):
        for rule in book.rules:
            verdicts = judge(rule, lives, book.end)
            sums[rule.name].add(verdicts.triggered, verdicts.violated, verdicts.robustness)
    return {name: each.held() for name, each in sums.items()}


def _acted(recording: Recording, replayed: Replayed, votes: NDArray[np.integer] | None) -> dict[str, Floats]:
    """Signals of what was done, float32 [M]."""
    trace = replayed.trace
    if trace is None:
        raise ValueError("rules are judged on a replay with a trace")
    state, taken = torch.from_numpy(trace.state), torch.from_numpy(trace.taken).long()
    found = acted_signals(
        Met(
            open=state == OPEN,
            cleared=state == CLEARED,
            held=torch.from_numpy(trace.held),
            decision=taken,
            votes=torch.from_numpy(_support(trace.state, trace.taken, votes)),
            malicious=torch.from_numpy(recording.phase[recording.rows] >= 0),
        )
    )
    # An alert that a renewed Quarantine raises is none of `taken`, which says what changed for the process.
    found["alert"] = torch.from_numpy(trace.alert)
    made = {name: values.to(torch.float32).numpy() for name, values in found.items()}
    for name, what in (("alerts_recent", "alert"), ("contained_recent", "contain")):
        total = np.concatenate(([0.0], np.cumsum(made[what], dtype=np.float64)))
        place = np.arange(len(taken))
        made[name] = (total[place + 1] - total[np.maximum(place + 1 - RECENT, 0)]).astype(np.float32)
    assert made.keys() == ACTED.keys()
    return made


def _support(state: NDArray[np.int8], taken: NDArray[np.int8], votes: NDArray[np.integer] | None) -> NDArray[np.int64]:
    """Agents that voted Alert or more, int64 [M]."""
    if votes is None:
        return np.where(taken >= ALERT, _UNANIMOUS, 0).astype(np.int64)
    if votes.ndim == 3:
        column = np.where(state == GONE, 0, state).astype(np.int64)
        votes = np.take_along_axis(votes, column[:, None, None], axis=2)[:, :, 0]
    support: NDArray[np.int64] = (votes >= ALERT).sum(axis=1).astype(np.int64)
    return support


def _lives(recording: Recording, replayed: Replayed, signals: Mapping[str, Tensor]) -> Iterator[Lives]:
    """Traces of all processes of the part, those of about equal length together."""
    assert replayed.trace is not None
    gone = replayed.trace.state == GONE
    entity = recording.forest.entity[recording.rows]
    order = np.argsort(entity, kind="stable")
    ordered = entity[order]
    begin = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    whole = np.diff(np.append(begin, len(order)))
    # Whoever is gone stays gone, so a life is the part before.
    real = whole - np.add.reduceat(gone[order].astype(np.int64), begin)
    size = real + (real < whole)
    group = np.ceil(np.log2(size)).astype(np.int64)
    for one in np.unique(group):
        mine = np.flatnonzero(group == one)
        sample = np.arange(int(size[mine].max()))
        # A process that was never started shows what stands at its first event.
        place = order[begin[mine, None] + np.minimum(sample, np.maximum(real[mine, None] - 1, 0))]
        after = torch.from_numpy(sample >= real[mine, None])
        at = torch.from_numpy(place)
        yield Lives(
            signals={name: after_all(name, values[at], after) for name, values in signals.items()},
            lengths=torch.from_numpy(size[mine]),
            complete=torch.ones(len(mine), dtype=torch.bool),
        )


class _Sum:
    def __init__(self) -> None:
        self.triggered, self.violated, self.processes = 0, 0, 0
        self.total, self.finite, self.lowest = 0.0, 0, float("inf")

    def add(self, triggered: Tensor, violated: Tensor, robustness: Tensor) -> None:
        self.triggered += int(triggered.sum())
        self.violated += int(violated.sum())
        self.processes += int(triggered.any(dim=1).sum())
        found = robustness[triggered]
        found = found[found.isfinite()].double()
        if len(found):
            self.total, self.finite = self.total + float(found.sum()), self.finite + len(found)
            self.lowest = min(self.lowest, float(found.min()))

    def held(self) -> Held:
        return Held(
            triggered=self.triggered,
            satisfied=self.triggered - self.violated,
            processes=self.processes,
            lowest=self.lowest if self.finite else None,
            mean=self.total / self.finite if self.finite else None,
        )
