"""A team's decisions on a part with the shield after the vote, as a running team would come to them.

The shield is told of one vote after the other, each in the state that the decisions before it led to; so the replay
itself asks it. What comes out are decisions like any others: whoever replays them meets the same states.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from custodes.data.dataset import Dataset, codes
from custodes.data.split import PartName
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.recording import Recording
from custodes.env.response.replay import CLEARED, OPEN, replay
from custodes.errors import CustodesError
from custodes.evaluate.response.record import in_order
from custodes.evaluate.response.schema import ShieldRecord
from custodes.evaluate.response.timeline import SHOWN, Intervention
from custodes.team.rules.signals import event_signals
from custodes.team.shield import Judgement, Rules, Shield, ShieldConfig, Voted, read_rules
from custodes.team.team import Play
from custodes.team.workload import Workload

IN_THE_TABLE: Final = (
    "the attack table is of the votes; `shielded` says what the shield makes of them, at each row's worst choice of "
    "liars (scores that rules may read are those of the honest team)"
)
"""What a reader of an attack table beside a shielded evaluation must know."""


@dataclass(frozen=True, kw_only=True)
class Guard:
    """The rules that a team shall obey while it is evaluated."""

    specs: str
    """As they were asked for: `default`, `library` or a file."""
    rules: Rules
    """What is watched, with at least one hard rule."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Told:
    """What the shield is told of the M events of a part beside the decisions, in recorded order."""

    votes: NDArray[np.int8]
    """int8 [M, A, 3]: each agent's, by the state FREE, OPEN or CLEARED of the process."""
    score: NDArray[np.float32]
    """float32 [M]: `Play.score`, 0 to 1."""
    evidence: NDArray[np.float32]
    """float32 [M]: the signal of that name (`custodes.team.rules.signals`)."""
    time: NDArray[np.int64]
    """int64 [M]: of each event, as a running team counts it [ns] (`times_of`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Overruled:
    """One decision that the shield replaced."""

    place: int
    """Of the event in the part."""
    voted: int
    """What the vote rule made of the votes, 0 to 3."""
    said: Judgement
    """What the shield made of it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Guarded:
    """Decisions after the shield."""

    decisions: NDArray[np.int8]
    """int8 [M, 3]: what is done, whatever the state; of a process that is gone by then, what was voted."""
    overruled: tuple[Overruled, ...]
    """In recorded order."""
    unavoidable: int
    """Decisions at which every action would have violated a hard rule."""


def guard_of(specs: str | None, task: str) -> Guard | None:
    """What the flag of a command asks for. Cheap, so call it before anything is played.

    Args:
        specs: `default`, `library` or the path of a file of rules; None for no shield.
        task: `response` or `triage`, of the run.

    Raises:
        CustodesError: The run does not act, the rules cannot be read, or none of them can be enforced.
    """
    if specs is None:
        return None
    if task != "response":
        raise CustodesError(
            "a shield replaces actions, and this run does not act",
            where="--shield",
            fix="leave it out, or train with env.task=response",
        )
    if not specs.strip():
        raise CustodesError("no rules are named", where="--shield", fix="name a TOML file of rules, or default")
    rules = read_rules(specs)
    if not rules.hard:
        why = "; ".join(f"{name} is not watched: {reason}" for name, reason in rules.left_out.items())
        raise CustodesError(
            f"{specs} holds no hard rule that decisions tell all about{why and f' ({why})'}",
            where="--shield",
            fix='tag what shall be enforced "hard"',
        )
    return Guard(specs=specs, rules=rules)


def guard(
    recording: Recording, decisions: NDArray[np.integer], told: Told, shield: Shield, costs: ResponseCosts
) -> Guarded:
    """Put a shield between the vote and what happens.

    As in a running team (`custodes.serve.Team`), nobody asks the shield about a process that is gone.

    Args:
        recording: The part, M events.
        decisions: Of the vote rule, int [M, 3] by state, in recorded order.
        told: The rest.
        shield: Made for a Quarantine as long as `costs` say.
        costs: Times.
    """
    state, agents = shield.begin(), told.votes.shape[1]
    votes = np.ascontiguousarray(told.votes.transpose(0, 2, 1)).tolist()
    score, evidence, times = told.score.tolist(), told.evidence.tolist(), told.time.tolist()
    entity = recording.forest.entity[recording.rows].tolist()
    taken = np.array(decisions, dtype=np.int8)
    overruled: list[Overruled] = []

    def overrule(place: int, standing: int, decision: int) -> int:
        said = shield.judge(
            state,
            Voted(
                entity=entity[place],
                time=times[place],
                votes=tuple(votes[place][standing]),
                score=score[place],
                decision=decision,
                reporting=agents,
                evidence=evidence[place],
                open=standing == OPEN,
                cleared=standing == CLEARED,
            ),
        )
        taken[place] = said.action
        if said.action != decision:
            overruled.append(Overruled(place=place, voted=decision, said=said))
        return said.action

    replay(recording, decisions, costs, overrule=overrule)
    return Guarded(decisions=taken, overruled=tuple(overruled), unavoidable=state.unavoidable)


def times_of(dataset: Dataset) -> NDArray[np.int64]:
    """When each event was, as a running team counts it: the latest time of its stream so far [ns], int64 [N].

    A time of 0 or less is unknown and reads as the last one known, 0 before any.
    """
    known: NDArray[np.int64] = np.maximum(dataset.events["time"].fill_null(0).to_numpy(), 0).astype(np.int64)
    stream = codes(dataset.events, "stream")
    latest: NDArray[np.int64] = np.empty_like(known)
    for one in np.unique(stream):
        mine = stream == one
        latest[mine] = np.maximum.accumulate(known[mine])
    return latest


def told_of(workload: Workload, recording: Recording, play: Play) -> Told:
    """What the shield is told of a part that a team has played in every state."""
    assert play.votes_by_state is not None
    evidence = event_signals(recording, workload.features, workload.encoder, ("evidence",))["evidence"]
    return Told(
        votes=in_order(recording, play.rows, play.votes_by_state),
        score=in_order(recording, play.rows, play.score),
        evidence=evidence,
        time=times_of(workload.dataset)[recording.source],
    )


def shield_for(rules: Rules, recording: Recording, costs: ResponseCosts) -> Shield:
    """A shield that forgets no process of a recording, as a team with enough memory."""
    return Shield(rules, ShieldConfig(quarantine_s=costs.quarantine_s, entities=max(recording.forest.entities, 1)))


def shielded(workload: Workload, part: PartName, play: Play, watched: Guard) -> tuple[Play, ShieldRecord]:
    """What a team does on a part under a shield.

    Args:
        workload: What it played on (response).
        part: The part.
        play: Its play, in every state.
        watched: The rules.

    Returns:
        The play with the decisions by state after the shield, the same in each but for processes that are gone, which
        keep what was voted; the votes, and the decisions and scores without a state, are as they were. What the shield
        did, for the record.
    """
    assert play.decisions_by_state is not None
    recording = workload.recording(workload.split.rows(part))
    place = in_order(recording, play.rows, np.arange(len(play.rows)))
    told = told_of(workload, recording, play)
    begin = time.perf_counter()
    shield = shield_for(watched.rules, recording, workload.costs)
    found = guard(recording, play.decisions_by_state[place], told, shield, workload.costs)
    seconds = time.perf_counter() - begin
    by_state = np.empty_like(found.decisions)
    by_state[place] = found.decisions
    record = ShieldRecord(
        specs=watched.specs,
        decisions=len(place),
        by_rule=_by_rule(watched.rules, found),
        unavoidable=found.unavoidable,
        interventions=_first(workload.dataset, recording, told, found),
        left_out=dict(watched.rules.left_out),
        seconds=seconds,
    )
    return replace(play, decisions_by_state=by_state), record


def enforcer(
    workload: Workload, part: PartName, play: Play, watched: Guard
) -> Callable[[NDArray[np.int8], NDArray[np.int8]], NDArray[np.int8]]:
    """From votes int8 [M, 3, A] by state and decisions int8 [M, 3] on them, to what is done under a shield, alike.

    All in recorded order. The scores are those of the play, whoever lies.
    """
    recording = workload.recording(workload.split.rows(part))
    told = told_of(workload, recording, play)

    def enforced(votes: NDArray[np.int8], decisions: NDArray[np.int8]) -> NDArray[np.int8]:
        shield = shield_for(watched.rules, recording, workload.costs)
        lied = replace(told, votes=votes.transpose(0, 2, 1))
        return guard(recording, decisions, lied, shield, workload.costs).decisions

    return enforced


def in_words(record: ShieldRecord) -> str:
    """What the shield did, in a sentence that says what it is not in."""
    return (
        f"response, rules and false containments are of the team under a shield ({record.specs}), which replaced "
        f"{record.replaced:,} of {record.decisions:,} decisions; at {record.unavoidable:,} no action was safe. "
        "Detection is of the votes, and members alone and baselines have no shield"
    )


def _by_rule(rules: Rules, found: Guarded) -> dict[str, int]:
    """How many decisions each hard rule replaced, those without any included."""
    count = {rule.name: 0 for rule in rules.hard}
    for each in found.overruled:
        count[each.said.spec] += 1
    return count


def _first(dataset: Dataset, recording: Recording, told: Told, found: Guarded) -> tuple[Intervention, ...]:
    """The first interventions, with names."""
    names = dataset.events["entity"]
    return tuple(
        Intervention(
            time=int(told.time[each.place]),
            process=names[int(recording.source[each.place])],
            rule=each.said.spec,
            why=each.said.why,
            voted=each.voted,
            action=each.said.action,
        )
        for each in found.overruled[:SHOWN]
    )
