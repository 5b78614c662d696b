"""From a team's play of a part to the `bft` record: how far its agents agree, and what liars among them achieve."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from custodes.bft.attacks import ATTACKS
from custodes.bft.votes import tolerated
from custodes.data.split import PartName
from custodes.errors import CustodesError
from custodes.evaluate.byzantine.ballots import Ballots, agreement
from custodes.evaluate.byzantine.gauge import Gauge, Judge, ResponseGauge, TriageGauge
from custodes.evaluate.byzantine.refused import USED
from custodes.evaluate.byzantine.schema import AttackRow, ByzantineRecord
from custodes.evaluate.byzantine.table import Enforced, Learned, attack_table
from custodes.evaluate.metrics import confusion, contains
from custodes.evaluate.response.record import in_order
from custodes.evaluate.response.schema import ResponseRecord
from custodes.team.team import Play
from custodes.team.workload import Workload

ALL: Final = "all"
LEARNED: Final = "traitor"


@dataclass(frozen=True, kw_only=True)
class Siege:
    """What is asked about liars."""

    attacks: tuple[str, ...]
    """Keys of `ATTACKS`."""
    counts: tuple[int, ...]
    """Numbers of liars, each 0 to A."""


def siege_of(attack: str | None, byzantine: int | None, agents: int, *, seats: int) -> Siege | None:
    """What the flags of a command ask for.

    Args:
        attack: An attack, "all", or None for all where `byzantine` is given.
        byzantine: Number of liars; None for every number from 0 to f + 1.
        agents: A.
        seats: Liars that the run's trained traitor plays at most; 0 where none has been trained.

    Returns:
        None where neither is given.

    Raises:
        CustodesError: Unknown attack, no traitor, or more liars than agents or than the traitor plays.
    """
    if attack is None and byzantine is None:
        return None
    known = [name for name in ATTACKS if seats or name != LEARNED]
    if attack not in (None, ALL, *ATTACKS):
        raise CustodesError(f"unknown attack {attack}", where="--attack", fix=f"use {ALL}, {', '.join(ATTACKS)}")
    if attack == LEARNED and not seats:
        raise CustodesError(
            "no traitor has been trained against this team", where="--attack", fix="custodes train --traitor RUN"
        )
    if byzantine is not None and not 0 <= byzantine <= agents:
        raise CustodesError(f"{byzantine} of {agents} agents cannot lie", where="--byzantine", fix=f"use 0 to {agents}")
    counts = range(min(tolerated(agents) + 1, agents) + 1) if byzantine is None else (byzantine,)
    attacks = tuple(known) if attack in (None, ALL) else (attack,)
    if LEARNED in attacks and max(counts) > seats:
        raise CustodesError(
            f"the traitor was trained for up to {seats} liars, not {max(counts)}",
            where="--attack" if byzantine is None else "--byzantine",
            fix=f"use fewer (--byzantine), or train one with --set traitor.most={max(counts)}",
        )
    return Siege(attacks=attacks, counts=tuple(counts))


def bft_record(
    workload: Workload,
    part: PartName,
    play: Play,
    *,
    f: int,
    siege: Siege | None = None,
    response: ResponseRecord | None = None,
    learned: Learned | None = None,
    judge: Judge | None = None,
    enforced: Enforced | None = None,
    notes: Sequence[str] = (),
    seed: int = 0,
) -> ByzantineRecord:
    """The record of a play.

    Args:
        workload: What was played on.
        part: The part.
        play: With `votes_by_state` in the response task, and `confidence` where there is a siege.
        f: Liars that the vote rule stands.
        siege: What is asked about liars; None for how far the agents agree, and no more.
        response: Of the play without liars, where it is known.
        learned: Needed by `traitor`; in the order of the play.
        judge: Says how the team's rules hold under decisions in recorded order; None without rules.
        enforced: As for `attack_table`, in recorded order; None without a shield.
        notes: What a reader must know.
        seed: As for `attack_table`.
    """
    begin = time.perf_counter()
    if siege is None:
        return _without_liars(workload, play, f, response)
    ballots, gauge, place = _setting(workload, part, play, f, judge)
    table = attack_table(
        ballots,
        gauge,
        attacks=siege.attacks,
        counts=siege.counts,
        learned=None if learned is None else lambda liars: learned(liars)[place],
        enforced=enforced,
        seed=seed,
    )
    told = _headline(table, f if len(siege.counts) > 1 else siege.counts[0])
    return ByzantineRecord(
        n=ballots.agents,
        f=f,
        byzantine=told.byzantine,
        attack=told.attack,
        agreement=agreement(ballots),
        false_containment_rate=told.worst.false_containments_per_1000 / 1000,
        suppression_rate=told.worst.suppression_rate,
        table=table,
        notes=tuple(notes),
        seconds=time.perf_counter() - begin,
    )


def _headline(table: tuple[AttackRow, ...], byzantine: int) -> AttackRow:
    """The row that the record's own figures are of: the used rule under the attack that harms it most."""
    rows = [row for row in table if row.rule == USED and row.byzantine == byzantine]
    return min(rows or [row for row in table if row.rule == USED], key=_harm)


def _harm(row: AttackRow) -> tuple[float, float]:
    worst = row.worst.score if row.worst.score is not None else row.worst.f1
    return (0.0 if worst is None else worst, -row.worst.false_containments)


def _setting(
    workload: Workload, part: PartName, play: Play, f: int, judge: Judge | None
) -> tuple[Ballots, Gauge, NDArray[np.int64]]:
    """Ballots and gauge in the order in which things happened, and the place of each in the play."""
    by_state, sure = play.votes_by_state, play.confidence
    if sure is None:
        raise ValueError("an attack table needs the agents' confidence: play with confident=True")
    if workload.env.task == "response":
        assert by_state is not None
        recording = workload.recording(workload.split.rows(part))
        place = in_order(recording, play.rows, np.arange(len(play.rows)))
        malicious = recording.malicious[recording.forest.entity[recording.rows]]
        gauge: Gauge = ResponseGauge(recording, workload.costs, judge)
        votes, confidence = by_state[place], sure[place][:, :, 1:]
    else:
        place = np.argsort(play.rows, kind="stable")
        labels = workload.dataset.labels[play.rows[place]]
        malicious, gauge = labels == 1, TriageGauge(labels)
        votes, confidence = play.votes[place][:, :, None], sure[place][:, :, :1]
    ballots = Ballots(
        votes=np.ascontiguousarray(votes.transpose(0, 2, 1)),
        confidence=np.ascontiguousarray(confidence.transpose(0, 2, 1)),
        protected=malicious,
        f=f,
    )
    return ballots, gauge, place


def _without_liars(workload: Workload, play: Play, f: int, response: ResponseRecord | None) -> ByzantineRecord:
    """How far the agents agree; the rates of the clean team, without another replay."""
    counted = confusion(workload.dataset.labels[play.rows], contains(play.decisions))
    benign = counted.fp + counted.tn
    false = counted.fp / benign if benign else None
    if response is not None:
        false = response.false_containments_per_1000 / 1000
    votes = play.votes[:, :, None].transpose(0, 2, 1)
    return ByzantineRecord(
        n=play.votes.shape[1],
        f=f,
        byzantine=0,
        attack=None,
        agreement=agreement(
            Ballots(votes=votes, confidence=np.ones(votes.shape, np.float32), protected=np.zeros(len(votes), bool), f=f)
        ),
        false_containment_rate=false,
        suppression_rate=None,
    )
