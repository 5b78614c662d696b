"""The shield: what it replaces, by what, why, and what it does when nothing is safe."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from custodes.bft.votes import severity_decision
from custodes.errors import CustodesError
from custodes.stl.analysis import horizon
from custodes.stl.batched import evaluate
from custodes.stl.explain import per_sample
from custodes.stl.forecast import Calibration, LastValue, calibrate_direct
from custodes.stl.formula import Always
from custodes.stl.parser import parse
from custodes.stl.specfile import parse_specs
from custodes.team.shield import Judgement, Shield, ShieldConfig, ShieldState, Voted, read_rules
from custodes.team.shield.forecast import ForecastRule
from custodes.team.shield.rules import looking_back
from custodes.team.shield.signals import SIGNALS, UNTOLD

SECOND = 10**9


def rules(*specs: str, period: str = "", tags: str = '"hard"') -> str:
    head = f'period = "{period}"\n' if period else ""
    body = "".join(
        f'[[spec]]\nname = "rule-{number}"\nformula = "{formula}"\nseverity = "{severity or "critical"}"\n'
        f"tags = [{', '.join(filter(None, (tags, more)))}]\n"
        for number, (formula, severity, more) in enumerate(_parts(spec) for spec in specs)
    )
    return head + body


def _parts(spec: str) -> tuple[str, str, str]:
    formula, severity, more = (*spec.split(" | "), "", "")[:3]
    return formula, severity, more and f'"{more}"'


def shield(*specs: str, period: str = "", **config: object) -> Shield:
    return Shield(read_rules(parse_specs(rules(*specs, period=period))), ShieldConfig(**config))  # type: ignore[arg-type]


def vote(entity: str, time: float, *votes: int, score: float = 0.0) -> Voted:
    given = votes if len(votes) > 1 else votes * 4
    decision = int(severity_decision(np.array(given), 1))
    return Voted(
        entity=entity, time=int(time * SECOND), votes=given, score=score, decision=decision, reporting=len(given)
    )


def judge(guard: Shield, *votes: Voted) -> list[Judgement]:
    state = guard.begin()
    return [guard.judge(state, each) for each in votes]


def test_what_violates_no_rule_passes() -> None:
    guard = shield("always (quarantined <= 2)")
    made = judge(guard, *(vote(f"p{number}", number, 2) for number in range(2)), vote("p0", 5, 2), vote("q", 6, 3))
    assert [(each.action, each.spec, each.safe) for each in made] == [(2, "", True)] * 3 + [(3, "", True)]
    assert made[-1].findings[0].upper == 0.0


def test_what_violates_one_is_replaced_by_the_least_severe_safe_action() -> None:
    guard = shield("always (quarantined <= 1)")
    made = judge(guard, vote("a", 0, 2), vote("b", 1, 2), vote("c", 2, 3))
    assert [each.action for each in made] == [2, 0, 3]
    assert made[1].spec == "rule-0"
    assert made[1].why == "Quarantine would take the robustness of rule-0 to -1, below 0"
    assert made[1].safe


def test_the_nearest_safe_action_if_asked() -> None:
    steps = "always (blocked -> prev (once (alerted or quarantined)))"
    votes = [vote("a", number, 3) for number in range(3)]
    assert [each.action for each in judge(shield(steps + " | critical | entity"), *votes)] == [0, 0, 0]
    assert [each.action for each in judge(shield(steps + " | critical | entity", order="nearest"), *votes)] == [2, 3, 3]


def test_an_allow_that_a_rule_forbids_becomes_the_mildest_containment() -> None:
    guard = shield("always (score >= 0.9 -> contain or quarantined) | critical | entity")
    made = judge(guard, vote("a", 0, 0, score=0.5), vote("a", 1, 0, score=0.95), vote("a", 2, 0, score=0.95))
    assert [each.action for each in made] == [0, 2, 0]


def test_a_rule_about_votes_keeps_the_shield_itself_from_containing() -> None:
    """Without votes for it, containment is no way out: nothing is safe, and the team's own decision stands."""
    guard = shield("always (score >= 0.9 -> contain)", "always (contain -> votes >= 2)")
    (made,) = judge(guard, vote("a", 0, 0, score=0.95))
    assert (made.action, made.spec, made.safe) == (0, "rule-0", False)
    assert made.why.endswith("below 0, and no action is safe")


@pytest.mark.parametrize(
    ("second", "action"), [("info", 2), ("critical", 0), ("warning", 2)], ids=["milder", "as grave", "milder too"]
)
def test_when_nothing_is_safe_the_gravest_rules_decide(second: str, action: int) -> None:
    guard = shield("always (contain) | critical", f"always (not contain) | {second}")
    state = guard.begin()
    made = guard.judge(state, vote("a", 0, 0))
    assert (made.action, made.safe) == (action, False)
    assert (state.overruled, state.unavoidable) == (int(action != 0), 1)


def test_windows_count_time_and_pass() -> None:
    guard = shield("always (sum(alerts, 30s) <= 2)", period="10s")
    times = [0, 1, 2, 11, 25, 31, 35, 41, 200]
    made = judge(guard, *(vote(f"p{time}", time, 1) for time in times))
    # Two alerts within three samples of ten seconds; the open sample counts as if it ended now.
    assert [each.action for each in made] == [1, 1, 0, 0, 0, 1, 1, 0, 1]


def test_a_quarantine_runs_out() -> None:
    guard = shield("always (quarantined <= 1)", quarantine_s=10.0)
    votes = [vote("a", 0, 2), vote("b", 10, 2), vote("b", 10.5, 2), vote("c", 20.5, 2), vote("c", 20.6, 2)]
    assert [each.action for each in judge(guard, *votes)] == [2, 0, 2, 0, 2]


def test_critical_processes() -> None:
    guard = shield("always not critical", critical=("dc",))
    assert [each.action for each in judge(guard, vote("a", 0, 3), vote("dc", 1, 3), vote("dc", 1, 2))] == [3, 0, 0]


def test_rules_without_the_tag_are_told_and_not_enforced() -> None:
    file = parse_specs(rules("always (quarantined <= 0)", tags=""))
    guard = Shield(read_rules(file))
    (made,) = judge(guard, vote("a", 0, 2))
    assert made.action == 2
    assert [(each.spec, each.sample, each.upper) for each in made.findings] == [("rule-0", 0, -1.0)]


def test_shipped_rules() -> None:
    known = read_rules("library")
    assert {rule.name for rule in known.hard} == {
        "critical-process-free",
        "quarantine-budget",
        "quarantine-renewed",
        "no-flapping",
        "no-hasty-return",
        "block-after-evidence",
        "block-in-steps",
        "containment-voted",
    }
    assert known.left_out["missed-threats"] == "it reads the true label"
    made = judge(Shield(known), vote("a", 0, 3, score=0.2), vote("a", 1, 2, score=0.9), vote("a", 2, 3, score=0.9))
    assert [(each.action, each.spec) for each in made] == [(0, "block-after-evidence"), (2, ""), (3, "")]


@pytest.mark.parametrize(
    ("formula", "told"),
    [("quarantined <= 1", "a hard rule is an always"), ("always (contain until blocked)", "bounded")],
)
def test_hard_rules_that_cannot_be_enforced(formula: str, told: str) -> None:
    with pytest.raises(CustodesError, match=told):
        shield(formula)


LIVELY = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 40),
        st.tuples(*[st.integers(0, 3)] * 4),
        st.sampled_from([0.0, 0.5, 0.85, 1.0]),
    ),
    min_size=1,
    max_size=25,
)
SPECS = (
    "always (sum(alerts, 4) <= 2)",
    "always (blocked -> once[1,5] (alerted or quarantined)) | warning | entity",
    "always (quarantined <= 2)",
    "always (contain -> votes >= 2)",
    "always (flaps <= 1 and eventually[0,2] (quarantined <= 1)) | info",
)


def lively(steps: list[tuple[str, int, tuple[int, ...], float]]) -> list[Voted]:
    time, made = 0, []
    for entity, step, votes, score in steps:
        time += step
        made.append(vote(entity, time, *votes, score=score))
    return made


@given(LIVELY, st.sampled_from(["", "10s"]), st.integers(0, 24))
@settings(deadline=None, max_examples=60)
def test_a_fork_and_a_saved_state_go_on_alike(
    steps: list[tuple[str, int, tuple[int, ...], float]], period: str, at: int
) -> None:
    guard, votes = shield(*SPECS, period=period, quarantine_s=30.0, entities=2), lively(steps)
    state = guard.begin()
    for each in votes[:at]:
        guard.judge(state, each)
    fork, saved = state.fork(), ShieldState.load(json.loads(json.dumps(state.dump())))
    before = state.dump()
    one = [guard.judge(fork, each) for each in votes[at:]]
    assert state.dump() == before
    assert [guard.judge(saved, each) for each in votes[at:]] == one
    assert [guard.judge(state, each) for each in votes[at:]] == one
    assert saved.dump() == fork.dump() == state.dump()
    assert len(state.entities) <= 2


@given(LIVELY)
@settings(deadline=None, max_examples=60)
def test_what_it_lets_through_violates_nothing_on_the_stored_trace(
    steps: list[tuple[str, int, tuple[int, ...], float]],
) -> None:
    """The samples of the run, put together afterwards, against the batched evaluator: where nothing was unavoidable,
    no hard rule is violated at any sample whose windows are over."""
    guard = shield(*SPECS[:1], *SPECS[2:4], quarantine_s=30.0)
    state, trace, safe = guard.begin(), [], []
    for each in lively(steps):
        made = guard.judge(state, each)
        held_before = state  # The levels after the judgement are those of the sample.
        safe.append(made.safe)
        trace.append({f.spec: f.upper for f in made.findings} | {"held": float(len(held_before.held))})
    for index, sample in enumerate(trace):
        worst = min(value for name, value in sample.items() if name != "held")
        assert (worst >= 0) == safe[index]
    held = torch.tensor([sample["held"] for sample in trace], dtype=torch.float64)
    found = evaluate(per_sample(parse("always (quarantined <= 2)")), {"quarantined": held[None]}).value[0]
    assert found.tolist() == [sample["rule-1"] for sample in trace]


def calibration(delta: float = 0.1) -> Calibration:
    """Processes that are alerted on more and more."""
    source = torch.Generator().manual_seed(0)
    alerts = (torch.rand(60, 8, 1, dtype=torch.float64, generator=source) < 0.2).double()
    predictor = LastValue().fit(alerts)
    return calibrate_direct(
        parse("always[0,7](alerts <= 1.5)"), ["alerts"], alerts, predictor, observed=[3], delta=delta
    )


def test_a_forecast_below_its_conformal_bound_is_avoided() -> None:
    formula = parse("always[0,4](score <= 0.8)")
    source = torch.Generator().manual_seed(0)
    scores = torch.rand(200, 5, 1, dtype=torch.float64, generator=source) * 0.5
    predictor = LastValue().fit(scores)
    made = calibrate_direct(formula, ["score"], scores, predictor, observed=[2], delta=0.05)
    guard = Shield(read_rules(parse_specs(rules("always true"))), forecasts=(ForecastRule("calm", made),))
    margin = made.bound
    low, high = 0.8 - margin - 0.01, 0.8 - margin + 0.01
    calm = judge(guard, vote("a", 0, 0, score=0.1), vote("a", 1, 0, score=low), vote("a", 2, 0, score=0.79))
    assert [each.spec for each in calm] == ["", "", ""]
    late = judge(guard, vote("a", 0, 0, score=0.1), vote("a", 1, 0, score=high))
    # The score is what it is whatever is done: no action is safe, and the team's own stands.
    assert (late[1].spec, late[1].action, late[1].safe) == ("calm", 0, False)
    assert "forecast of calm" in late[1].why


def test_a_forecast_of_what_actions_change_is_avoided_by_another_action() -> None:
    forecast = ForecastRule("few-alerts", calibration())
    assert forecast.bound(((0.0,) * len(SIGNALS),) * 2) is None
    guard = Shield(read_rules(parse_specs(rules("always true"))), forecasts=(forecast,))
    assert forecast.calibration.bound == 1.0
    made = judge(guard, *(vote("a", number, number >= 2) for number in range(8)))
    # After two quiet samples an Alert is taken to go on: 1.5 - 1 - C is below 0, and 1.5 - 0 - C is not.
    assert [each.action for each in made] == [0, 0, 0, 1, 1, 1, 1, 1]
    assert made[2].why == "Alert would take the forecast of few-alerts to -0.5, below 0"


def test_a_forecast_that_replicas_could_disagree_on_is_refused() -> None:
    made = calibration()
    other = Calibration.from_json(made.to_json().replace("last value", "autoregressive, order 2, ridge 1e-06"))
    with pytest.raises(CustodesError, match="calibrate with LastValue"):
        ForecastRule("x", other)
    with pytest.raises(CustodesError, match="which decisions do not tell"):
        ForecastRule("x", Calibration.from_json(made.to_json().replace("alerts", "cpu")))


def test_settings_out_of_range_are_refused() -> None:
    for wrong in ({"quarantine_s": 0.0}, {"entities": 0}):
        with pytest.raises(ValueError, match="quarantine_s"):
            ShieldConfig(**wrong)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CustodesError, match="cannot be read"):
        read_rules(tmp_path / "no.toml")


TRAINED = """
end = "truncate"
[parameters]
most_alerts = 2
[[spec]]
name = "innocents"
formula = "always (first and innocent -> always (not contain))"
tags = ["label"]
[[spec]]
name = "acted-on"
formula = "always (evidence >= 0.7 and not prev (evidence >= 0.7) -> eventually[0:2] (contained or alert or open))"
[[spec]]
name = "evidence-first"
formula = "always (contain -> once (evidence >= 0.2))"
severity = "warning"
tags = ["process", "hard"]
[[spec]]
name = "alert-load"
formula = "always (first -> always (alert -> alerts_recent <= most_alerts))"
severity = "warning"
tags = ["workload", "hard"]
"""


def told(entity: str, time: float, *votes: int, **more: Any) -> Voted:
    return replace(vote(entity, time, *votes), **more)


def test_rules_that_teams_are_trained_under() -> None:
    known = read_rules(parse_specs(TRAINED))
    assert (known.process, known.period_ns, known.left_out) == (True, None, {"innocents": "it reads the true label"})
    assert [rule.entity for rule in known.rules] == [True] * 3
    made = judge(
        Shield(known),
        told("a", 0, 2, evidence=0.1),
        told("a", 1, 2, evidence=0.3),
        told("a", 2, 3, evidence=0.0),
        told("b", 3, 1),
        told("c", 4, 1),
        told("c", 5, 1, open=True),
        told("c", 6, 3, cleared=True, evidence=0.9),
    )
    # No containment without evidence before it; no third alert among the latest thousand events, unless it raises none.
    assert [each.action for each in made] == [0, 2, 3, 1, 0, 1, 3]
    assert [each.spec for each in made] == ["evidence-first", "", "", "", "alert-load", "", ""]
    untold = read_rules(parse_specs(TRAINED), untold=UNTOLD)
    assert [rule.name for rule in untold.rules] == ["alert-load"]
    assert "evidence, which decisions do not tell" in untold.left_out["evidence-first"]


def test_alerts_are_counted_over_the_latest_thousand_events() -> None:
    guard = Shield(read_rules(parse_specs(TRAINED)))
    state = guard.begin()
    alerts = [guard.judge(state, told("a", 0, 1)).action for _ in range(3)]
    quiet = [guard.judge(state, told("b", 1, 0)).action for _ in range(996)]
    assert (alerts, set(quiet)) == ([1, 1, 0], {0})
    # The first alert lies 999 events back, then 1,000: it counts no more.
    assert [guard.judge(state, told("a", 2, 1)).action for _ in range(3)] == [0, 1, 1]
    assert state.alerts == (1000, 1001)


@pytest.mark.parametrize("seed", range(5))
def test_a_rule_turned_to_look_back_says_the_same(seed: int) -> None:
    """`always (a -> always b)` and `always (once a -> b)` on random traces."""
    source = torch.Generator().manual_seed(seed)
    trace = {name: torch.randn(1, 12, dtype=torch.float64, generator=source) for name in "abc"}
    for text in ("always (a > 0 -> always (b > 0))", "always (a > 0 -> always (c > 0 -> always (b > 0)))"):
        formula = parse(text)
        turned = Always(operand=looking_back(per_sample(formula)))
        assert horizon(turned.operand) == 0
        assert evaluate(turned, trace).value[0, 0] == evaluate(formula, trace).value[0, 0]
