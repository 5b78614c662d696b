"""One attack as a team meets it live: the team observes a part of its recording, analysts answer from the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from custodes.data.features.online.memory import Key
from custodes.data.schema import MALICIOUS
from custodes.data.split import PartName
from custodes.env.response.recording import Recording
from custodes.evaluate.response.timeline import SHOWN, Intervention, Moment, Shielded, Timeline
from custodes.serve.analysts import RecordedAnalysts
from custodes.serve.decision import Decision
from custodes.serve.standings import SECOND
from custodes.serve.team import Team
from custodes.stl.explain import per_sample
from custodes.stl.parser import parse
from custodes.stl.streaming import SingleMonitor
from custodes.team.workload import Workload

RULE: Final = "always (exposed_s <= 30)"
"""An attack is contained, all its processes that did something malicious, within 30 seconds of its first act."""
MOST: Final = 160
"""Events that are kept."""


@dataclass(frozen=True, kw_only=True)
class _Met:
    """An event of the part."""

    key: Key
    row: int
    time: int
    malicious: bool
    channel: str
    decision: Decision
    executed: bool


def timeline_of(team: Team, workload: Workload, part: PartName = "test") -> Timeline | None:
    """Let a team observe a part in recorded order, and keep the attack tree of which it prevented most.

    Events of other parts are taken into the history, as a live team would have seen them.

    Args:
        team: Just loaded.
        workload: Its data.
        part: Which part.

    Returns:
        The timeline; None where the part holds no malicious event.
    """
    rows = workload.split.rows(part)
    whole = workload.recording(np.arange(len(workload.dataset)))
    mine = np.zeros(len(workload.dataset), dtype=np.bool_)
    mine[rows] = True
    if not (workload.dataset.labels[rows] == MALICIOUS).any():
        return None
    met = _observe(team, workload, whole, mine)
    root = whole.forest.attack_roots(whole.malicious)[whole.forest.entity]
    tree_of_row = np.empty(len(root), dtype=np.int64)
    tree_of_row[whole.source] = root
    trees: dict[int, list[_Met]] = {}
    for each in met:
        trees.setdefault(int(tree_of_row[each.row]), []).append(each)
    best = max(trees.values(), key=lambda events: (_prevented(events), sum(each.malicious for each in events)))
    return _timeline(team, workload, part, best, _shielded(team, met))


def _observe(team: Team, workload: Workload, whole: Recording, mine: Any) -> list[_Met]:
    events = workload.dataset.events.to_dicts()
    times = [max(event["time"] or 0, 0) for event in events]
    guilty: dict[Key, int] = {}
    for row in whole.source.tolist():
        if events[row]["label"] == MALICIOUS:
            guilty.setdefault((events[row]["stream"], events[row]["entity"]), times[row])
    analysts = RecordedAnalysts(team, workload.costs, guilty)
    met: list[_Met] = []
    for row in whole.source.tolist():
        event = events[row]
        if not mine[row]:
            team.remember([event])
            continue
        analysts.answer(times[row])
        decision = team.observe(event)
        key = (decision.stream, decision.entity)
        if decision.alert:
            analysts.ask(key, times[row])
        executed = decision.action < 2 and not team.withheld(key[1], stream=key[0])
        met.append(
            _Met(
                key=key,
                row=row,
                time=times[row],
                malicious=event["label"] == MALICIOUS,
                channel=event["channel"],
                decision=decision,
                executed=executed,
            )
        )
    return met


def _prevented(events: list[_Met]) -> int:
    return sum(each.malicious and not each.executed for each in events)


def _shielded(team: Team, met: list[_Met]) -> Shielded | None:
    """What the shield did on the part."""
    if team.rules is None:
        return None
    by_rule = {rule.name: 0 for rule in team.rules.hard}
    found: list[Intervention] = []
    for each in met:
        said = each.decision.overruled
        if said is None:
            continue
        by_rule[said.spec] += 1
        if len(found) < SHOWN:
            found.append(
                Intervention(
                    time=each.time,
                    process=each.key[1],
                    rule=said.spec,
                    why=said.why,
                    voted=said.voted,
                    action=each.decision.action,
                )
            )
    return Shielded(
        decisions=len(met),
        by_rule=by_rule,
        unavoidable=team.counts.unavoidable,
        interventions=tuple(found),
    )


def _timeline(team: Team, workload: Workload, part: PartName, events: list[_Met], shield: Shielded | None) -> Timeline:
    """The tree's events around its containment, and how long it was exposed."""
    acting = {each.key for each in events if each.malicious}
    shown = [each for each in events if each.key in acting]
    monitor = SingleMonitor(per_sample(parse(RULE)))
    names: list[Key] = []
    moments: list[Moment] = []
    loose: set[Key] = set()
    since: int | None = None
    for each in shown:
        if each.key not in names:
            names.append(each.key)
        if not each.executed:
            loose.discard(each.key)
        elif each.malicious:
            loose.add(each.key)
            since = each.time if since is None else since
        exposed = (each.time - since) / SECOND if since is not None and loose else 0.0
        moments.append(
            Moment(
                second=(each.time - shown[0].time) / SECOND,
                process=names.index(each.key),
                channel=each.channel,
                malicious=each.malicious,
                executed=each.executed,
                votes=each.decision.votes,
                action=each.decision.action,
                standing=each.decision.standing,
                alert=each.decision.alert,
                robustness=monitor.update({"exposed_s": exposed}).lower,
            )
        )
    return Timeline(
        dataset=workload.dataset.name,
        split=part,
        f=team.f,
        rule=RULE,
        processes=tuple(entity for _, entity in names),
        malicious=sum(each.malicious for each in shown),
        prevented=_prevented(shown),
        moments=tuple(moments[:MOST]),
        left_out=max(len(moments) - MOST, 0),
        shield=shield,
    )
