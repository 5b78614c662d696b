"""The ledger against a plain reading: lane by lane, vote by vote."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import Tensor

from custodes.env.player import TERMINATED
from custodes.env.response.layout import HELD
from custodes.env.response.replay import CLEARED, OPEN
from custodes.errors import CustodesError
from custodes.team.rules.judge import Lives, costs_of, judge
from custodes.team.rules.ledger import Ledger, Settled
from custodes.team.rules.signals import RECENT
from custodes.team.rules.watch import Seen
from tests.env.response.games import city
from tests.team.rules.stages import Stage, book

CITY = city(events=400, processes=30, malicious=0.3)


@dataclass(kw_only=True)
class Life:
    """One run through a lane, as somebody who writes down every step would have it."""

    slot: int
    steps: list[int] = field(default_factory=list)
    signals: dict[str, list[list[float]]] = field(default_factory=dict)
    complete: bool = False
    blocked: bool = False


def own_held(stage: Stage, seen: Seen, steps: list[int], slot: int, agent: int) -> list[bool]:
    """Whether an agent's own votes would withhold the process, at each step of a life."""
    ground, until, held = stage.ground, -np.inf, []
    for t in steps:
        place = int(seen.place[t, slot])
        now, vote = float(ground.clock[place]), int(seen.votes[t, slot, agent])
        held.append(now <= until)
        if vote == 3:
            until = np.inf
        elif vote == 2 and seen.state[t, slot] != CLEARED and not held[-1]:
            answer = now + ground.analyst_s
            until = np.inf if float(ground.turns[place]) <= answer else answer
    return held


def lives_of(stage: Stage, seen: Seen) -> list[Life]:
    """Every run through a lane, with its signals for each agent and, last, the team."""
    found = []
    for slot in range(seen.place.shape[1]):
        life = Life(slot=slot)
        for t in range(seen.steps):
            life.steps.append(t)
            if bool(seen.over[t, slot]):
                found.append(closed(stage, seen, life))
                life = Life(slot=slot)
        if life.steps:
            found.append(closed(stage, seen, life))
    return found


def closed(stage: Stage, seen: Seen, life: Life) -> Life:
    last, slot = life.steps[-1], life.slot
    place = int(seen.place[last, slot])
    verdict, over = bool(seen.verdict[last, slot]), bool(seen.over[last, slot])
    life.blocked = over and int(seen.decision[last, slot]) == 3
    cut = bool(stage.ground.goes_on[place]) and not life.blocked and not verdict
    life.complete = over and not cut
    agents = seen.votes.shape[2]
    for member in range(agents + 1):
        own = member < agents
        held = own_held(stage, seen, life.steps, slot, member) if own else []
        rows: dict[str, list[float]] = {}
        for number, t in enumerate(life.steps):
            state = int(seen.state[t, slot])
            action = int(seen.votes[t, slot, member] if own else seen.decision[t, slot])
            opened, cleared = state in (OPEN, HELD), state == CLEARED
            withheld = held[number] if own else state == HELD
            begins = action == 2 and not cleared and not withheld
            here: dict[str, float] = {
                "alert": action in (1, 2) and not opened and not cleared,
                "contain": begins or action == 3,
                "contained": begins or action == 3 or withheld,
                "votes": int((seen.votes[t, slot] >= 1).sum()),
            }
            row = int(seen.place[t, slot])
            here |= {name: float(values[row]) for name, values in stage.ground.signals.items()}
            for name in stage.book.signals:
                rows.setdefault(name, []).append(float(here[name]))
        if verdict:
            standing = {"contained": 1.0, "innocent": rows["innocent"][-1], "event": rows["event"][-1]}
            standing["evidence"] = rows["evidence"][-1]
            for name in rows:
                rows[name].append(standing.get(name, 0.0))
        for name, values in rows.items():
            life.signals.setdefault(name, []).append(values)
    return life


def expected(stage: Stage, seen: Seen) -> tuple[Tensor, list[Counter[str]]]:
    """Costs [T, B, A, S] and the team's counts, one life at a time."""
    T, B, A = seen.votes.shape
    cost = torch.zeros(T, B, A, len(stage.book.rules))
    counts = [Counter[str]() for _ in stage.book.rules]
    for life in lives_of(stage, seen):
        for member in range(A + 1):
            signals = {name: torch.tensor([rows[member]]) for name, rows in life.signals.items()}
            length = len(next(iter(life.signals.values()))[0])
            complete = life.complete and (member == A or not life.blocked)
            one = Lives(signals=signals, lengths=torch.tensor([length]), complete=torch.tensor([complete]))
            for index, rule in enumerate(stage.book.rules):
                found = judge(rule, one, "truncate")
                paid = costs_of(rule, one, found, "truncate")[0].nonzero()[:, 0].tolist()
                at = [life.steps[min(sample, len(life.steps) - 1)] for sample in paid]
                if member == A:
                    known = found.triggered[0] & (found.known[0] >= 0)
                    counts[index]["windows"] += int(known.sum())
                    counts[index]["violated"] += int((known & found.violated[0]).sum())
                    if rule.joint:
                        cost[at, life.slot, :, index] = 1.0
                elif not rule.joint:
                    cost[at, life.slot, member, index] = 1.0
    return cost, counts


def settled(ledger: Ledger, pieces: list[Seen]) -> list[Settled]:
    found = [ledger.settle(piece) for piece in pieces]
    assert all(each is not None for each in found)
    return [each for each in found if each is not None]


def split(seen: Seen, *sizes: int) -> list[Seen]:
    pieces = []
    for size in sizes:
        pieces.append(seen.first(size))
        seen = seen.after(size)
    assert seen.steps == 0
    return pieces


@pytest.mark.parametrize("window", [0, 7])
@pytest.mark.parametrize("seed", range(2))
def test_costs_and_counts_are_those_of_every_life_by_itself(window: int, seed: int) -> None:
    stage = Stage(CITY, seed=seed, window=window)
    seen = stage.play(60, torch.Generator().manual_seed(seed))
    (whole,) = settled(stage.ledger, [seen])
    cost, counts = expected(stage, seen)
    assert whole.tallies[0].windows > 0
    assert sum(tally.violated for tally in whole.tallies) > 0
    for index in range(len(stage.book.rules)):
        assert torch.equal(whole.cost[..., index], cost[..., index])
    assert [tally.windows for tally in whole.tallies] == [each["windows"] for each in counts]
    assert [tally.violated for tally in whole.tallies] == [each["violated"] for each in counts]
    assert [tally.weight for tally in whole.tallies] == [each["windows"] for each in counts]


@pytest.mark.parametrize("sizes", [(30, 30, 30), (1, 2, 40, 47), (89, 1)])
@pytest.mark.parametrize("individual", [True, False])
def test_it_does_not_matter_how_rollouts_are_cut(sizes: tuple[int, ...], individual: bool) -> None:
    one, other = Stage(CITY, individual=individual), Stage(CITY, individual=individual)
    seen = one.play(90, torch.Generator().manual_seed(2))
    (whole,) = settled(one.ledger, [seen])
    parts = settled(other.ledger, split(seen, *sizes))
    for name in ("windows", "weight", "violated"):
        total = [sum(getattr(part.tallies[index], name) for part in parts) for index in range(len(one.book.rules))]
        assert total == [getattr(tally, name) for tally in whole.tallies]
    assert torch.equal(torch.cat([part.cost for part in parts]), whole.cost)
    assert torch.equal(torch.cat([part.context for part in parts]), whole.context)
    assert whole.context.shape == (90, 3, 4, other.ledger.context)


def test_what_is_only_remembered_counts_in_what_follows() -> None:
    one, other = Stage(CITY), Stage(CITY)
    seen = one.play(60, torch.Generator().manual_seed(3))
    first, second = split(seen, 25, 35)
    (whole, last) = settled(one.ledger, [first, second])
    assert other.ledger.settle(first, judged=False) is None
    (again,) = settled(other.ledger, [second])
    assert torch.equal(again.cost, last.cost)
    assert again.tallies == last.tallies
    assert whole.tallies != last.tallies


def test_a_saved_ledger_goes_on_to_the_bit() -> None:
    one, other = Stage(CITY, lane_share=0.4), Stage(CITY, lane_share=0.4)
    first, second = split(one.play(70, torch.Generator().manual_seed(4)), 33, 37)
    settled(one.ledger, [first])
    other.ledger.load_state(one.ledger.state())
    (a,), (b,) = settled(one.ledger, [second]), settled(other.ledger, [second])
    assert torch.equal(a.cost, b.cost)
    assert a.tallies == b.tallies
    kept, again = one.ledger.state(), other.ledger.state()
    assert all(torch.equal(kept[name], again[name]) for name in kept)
    with pytest.raises(CustodesError, match="of another run"):
        Stage(CITY, slots=4).ledger.load_state(kept)


def test_with_team_credit_everybody_bears_the_teams_costs() -> None:
    stage = Stage(CITY, individual=False)
    (found,) = settled(stage.ledger, [stage.play(90, torch.Generator().manual_seed(5))])
    assert found.cost.sum() > 0
    assert torch.equal(found.cost, found.cost[:, :, :1].expand_as(found.cost))


def test_rare_lanes_weigh_what_they_stand_for() -> None:
    stage = Stage(CITY, lane_share=0.5)
    seen = stage.play(90, torch.Generator().manual_seed(6))
    (found,) = settled(stage.ledger, [seen])
    assert set(seen.weight.flatten().tolist()) != {1.0}
    spared, in_time = found.tallies[:2]
    heavy, light = float(seen.weight.max()), float(seen.weight.min())
    assert spared.weight == pytest.approx(spared.windows * heavy)  # Innocents are drawn too seldom.
    assert in_time.weight == pytest.approx(in_time.windows * light)


def test_recent_alerts_are_counted_over_all_slots() -> None:
    rules = book('[[spec]]\nname = "load"\nformula = "always (alerts_recent + contained_recent < 1000)"')
    stage = Stage(CITY, rules=rules)
    seen = stage.play(400, torch.Generator().manual_seed(7))
    made = stage.ledger._acted_signals(seen, torch.cat((torch.ones(1, 3, dtype=torch.bool), seen.over[:-1])))
    steps = -(-RECENT // 3)
    alerts = made["alert"][..., -1].sum(1)
    for t in (0, 5, 200, 399):
        events = 3 * min(t + 1, steps)
        count = float(alerts[max(0, t + 1 - steps) : t + 1].sum())
        assert float(made["alerts_recent"][t, 0, 0]) == pytest.approx(RECENT * count / max(events, RECENT), abs=1e-4)


def test_rules_that_look_back_for_ever_need_a_window() -> None:
    stage = Stage(CITY)
    with pytest.raises(CustodesError, match=r"rule 'spared': it looks back over whole lives.*20,000 events"):
        Ledger(stage.ground, stage.book, slots=3, agents=4, individual=True, longest=20_000)


def test_lives_end_in_every_way() -> None:
    """The cases above are only worth something where all kinds of ends occur."""
    stage = Stage(CITY, window=7)
    seen = stage.play(60, torch.Generator().manual_seed(0))
    ends = stage.env.ends()[seen.place[seen.over]]
    assert bool(seen.verdict.any())
    assert bool((seen.decision[seen.over] == 3).any())
    assert bool((ends == TERMINATED).any())
    assert bool(stage.ground.goes_on[seen.place[seen.over]].any())
