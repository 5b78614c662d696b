"""The re-made training: its defects do what they say, and without them the invariants hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from custodes.bft.votes import severity_decision
from custodes.data.dataset import Dataset
from custodes.doctor.origin import DEFECTS, VARIANTS, Repairs, run_variants
from custodes.doctor.origin.material import prepare, with_lags
from custodes.doctor.origin.network import OriginNetwork
from custodes.doctor.origin.rollout import decide, play
from custodes.doctor.origin.rules import PENALTY, judge
from custodes.doctor.origin.settings import COLUMNS, OriginSettings
from custodes.doctor.origin.training import Iteration, train
from custodes.doctor.origin.update import surrogate
from custodes.rl.losses import ppo_losses
from tests.doctor.origin.recording import SETTINGS, small_recording

WHOLE = ("ratio-broadcast", "start-state-mismatch", "dropout-mismatch")
SHORT = replace(SETTINGS, iterations=2)


def trained(recording: Dataset, *repaired: str, settings: OriginSettings = SHORT) -> tuple[Iteration, ...]:
    repairs = Repairs.of(repaired)
    return train(prepare(recording, repairs, settings.seed), settings, repairs)


def test_the_broadcast_surrogate_is_the_mean_over_all_pairs() -> None:
    g = torch.Generator().manual_seed(0)
    new, old, advantage = (torch.randn(7, generator=g) * scale for scale in (0.3, 0.3, 1.0))
    loss, ratio = surrogate(new, old[:, None], advantage[:, None], 0.2)
    total = 0.0
    for i in range(7):
        for j in range(7):
            r = float((new[j] - old[i]).exp())
            total += min(r * float(advantage[i]), min(max(r, 0.8), 1.2) * float(advantage[i]))
    assert ratio.shape == (7, 7)
    assert float(loss) == pytest.approx(-total / 49, rel=1e-5)


def test_the_repaired_surrogate_is_that_of_ppo() -> None:
    g = torch.Generator().manual_seed(0)
    new, old, advantage = (torch.randn(7, generator=g) * scale for scale in (0.3, 0.3, 1.0))
    loss, ratio = surrogate(new, old, advantage, 0.2)
    zero = torch.zeros(7, 1)
    right = ppo_losses(new[:, None], zero, zero, old[:, None], zero, advantage[:, None], zero, 0.2, 0.0)
    assert ratio.shape == (7,)
    assert float(loss) == pytest.approx(float(right.policy[0]), rel=1e-6)


def test_with_the_update_repaired_the_ratio_is_one_before_the_first_step(recording: Dataset) -> None:
    for iteration in trained(recording, *WHOLE):
        for report in iteration.reports:
            assert report.ratio_shape == (SHORT.rollout,)
            assert report.ratio_error < 1e-5
            assert report.value_error < 1e-4
            assert report.repeat_error == 0.0
            assert float(report.state_errors.max()) < 1e-5


@pytest.mark.parametrize("name", WHOLE)
def test_each_defect_of_the_update_shows_in_its_own_measure(recording: Dataset, name: str) -> None:
    report = trained(recording, *(set(WHOLE) - {name}))[0].reports[0]
    shown = {
        "ratio-broadcast": report.ratio_shape == (SHORT.rollout, SHORT.rollout),
        "start-state-mismatch": float(report.state_errors.mean()) > 1e-4,
        "dropout-mismatch": report.repeat_error > 1e-4,
    }
    assert [key for key, value in shown.items() if value] == [name]


def test_long_calls_are_a_loop_over_records() -> None:
    torch.manual_seed(0)
    network = OriginNetwork(5, SHORT)
    inputs = torch.randn(70, 5)
    logits, value, starts = play(network, inputs, 32, dropout=False)
    state = network.start(1)
    for t in range(70):
        if t in (0, 32):
            assert torch.allclose(starts[1][0][:, t // 32], state[1][0][:, 0], atol=1e-6)
        said = network(inputs[t : t + 1, None], state, dropout=False)
        assert torch.allclose(said.logits[0, 0], logits[t], atol=1e-6)
        assert torch.allclose(said.value[0, 0], value[t], atol=1e-6)
        state = said.state


def test_the_same_seed_gives_the_same_bits_and_leaves_the_generator_alone(recording: Dataset) -> None:
    before = torch.get_rng_state()
    first, second = trained(recording), trained(recording)
    assert torch.equal(before, torch.get_rng_state())
    assert first[-1].reports[0].value_loss_update == second[-1].reports[0].value_loss_update
    assert torch.equal(first[-1].played.action, second[-1].played.action)
    other = trained(recording, settings=replace(SHORT, seed=1))
    assert not torch.equal(first[-1].played.action, other[-1].played.action)


def test_counters_cover_the_last_steps_or_all(recording: Dataset) -> None:
    last, whole = trained(recording)[0], trained(recording, "metric-window")[0]
    assert (last.counted, whole.counted) == (512 - 400, 512)
    for iteration in (last, whole):
        assert sum(iteration.logged[name] for name in ("tp", "fp", "tn", "fn")) == iteration.counted


def test_every_step_costs_what_the_rules_say() -> None:
    g = torch.Generator().manual_seed(0)
    label, decision = torch.randint(0, 2, (40,), generator=g), torch.randint(0, 4, (40,), generator=g)
    drawn = torch.Generator().manual_seed(1)
    judged = judge(decision, label, Repairs(), drawn)
    again = torch.Generator().manual_seed(1)
    response, load = 0.1 + 1.2 * torch.rand(40, generator=again), 0.3 + 0.6 * torch.rand(40, generator=again)
    for t in range(40):
        window = range(max(0, t - 9), t + 1)
        hits = [float(decision[s] >= 2 and label[s] == 1) for s in window]
        alarms = [float(decision[s] >= 2 and label[s] == 0) for s in window]
        robust = (min(hits) - 0.95, 0.05 - max(alarms), 1 - float(response[t]), 0.8 - float(load[t]))
        assert float(judged.penalty[t]) == pytest.approx(PENALTY * sum(min(0.0, r) for r in robust), abs=1e-4)
    assert judged.reachable["detection"] < 0.1
    assert judged.reachable["false-alarms"] == 1.0


def test_repaired_rules_cost_nothing() -> None:
    label = torch.tensor([0, 1, 0])
    judged = judge(label, label, Repairs.of(["spec-always-violated"]), torch.Generator())
    assert judged.penalty.tolist() == [0.0, 0.0, 0.0]
    assert judged.reachable == {}


def test_the_first_agent_decides_for_three_and_the_vote_rule_for_four() -> None:
    three, four = torch.tensor([[3, 0, 0], [0, 3, 3]]), torch.tensor([[3, 0, 0, 0], [0, 3, 3, 3]])
    assert decide(three, Repairs()).tolist() == [3, 0]
    assert torch.equal(decide(four, Repairs.of(["consensus-f0"])), severity_decision(four, 1))


def test_lags_are_of_the_records_before_in_recorded_order() -> None:
    values = np.arange(24, dtype=np.float32).reshape(12, 2)
    wide, names = with_lags(values, ("a", "b"))
    assert wide.shape == (12, 18)
    assert names[:4] == ("a", "b", "a-1", "b-1")
    assert wide[5, 2:4].tolist() == values[4].tolist()
    assert wide[3, 8:].tolist() == [0.0] * 10


def test_parts_and_rates_are_those_of_a_stratified_split(recording: Dataset) -> None:
    material = prepare(recording, Repairs(), 0)
    summary = material.split.summary(material.dataset.labels)
    rates = [part["rate"] for part in summary.values()]
    assert max(rates) - min(rates) < 0.001  # type: ignore[type-var, operator]
    assert material.columns == COLUMNS
    assert np.abs(material.inputs[material.split.rows("train")].mean(0)).max() < 1e-3
    drawn = prepare(recording, Repairs.of(["label-is-a-rule"]), 0)
    assert drawn.dataset.labels.sum() == material.dataset.labels.sum()
    assert not np.array_equal(drawn.dataset.labels, material.dataset.labels)


def test_the_table_has_a_row_for_each_variant(tmp_path: Path) -> None:
    path = str(small_recording(tmp_path))
    settings = replace(SHORT, iterations=1)
    here = run_variants(path, settings, variants=VARIANTS[:2])
    apart = run_variants(path, settings, jobs=2, variants=VARIANTS[:2])
    assert [row.name for row in here] == [variant.name for variant in VARIANTS[:2]]
    assert here == apart
    assert here[0].entropy > 1.3
    assert {name for variant in VARIANTS for name in variant.repairs.names} <= set(DEFECTS)
