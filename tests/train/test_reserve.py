"""The reserve: tuned by replays of each agent alone, kept in the best checkpoint once, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from custodes.bft.votes import ALLOW
from custodes.env.response.replay import MASKS
from custodes.errors import CustodesError
from custodes.evaluate.response.outcome import oracle, outcome
from custodes.evaluate.response.record import in_order
from custodes.rl.networks import Policy
from custodes.rl.state import load_policy
from custodes.team.team import Team
from custodes.team.workload import Workload
from custodes.train import checkpoint
from custodes.train.loop import resume, train
from custodes.train.presets import load_preset
from custodes.train.reserve import CANDIDATES, KEPT, costs_by_reserve, middle, tune_reserves
from custodes.train.run_folder import RunFolder
from custodes.train.scoring import workload_of
from tests.train.test_resume import SMALL

PLAIN = [*SMALL, "response.false_block=500"]
"""Barely trained agents that act too readily."""
RESERVED = [*PLAIN, "train.reserve=true"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return train(load_preset("quick", RESERVED), tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def workload(run: RunFolder) -> Workload:
    return workload_of(run)


def _policy(run: RunFolder, workload: Workload, name: str = "last.safetensors") -> Policy:
    policy = Policy(
        run.config.rl,
        agents=workload.table.agents,
        inputs=workload.table.inputs,
        central_inputs=workload.central_inputs,
        actions=4,
    )
    load_policy(policy, dict(checkpoint.load_file(run.checkpoints / name).tensors))
    return policy


@pytest.mark.parametrize(
    ("costs", "chosen"),
    [
        ([5.0, 3.0, 3.0, 3.0, 9.0], 2),
        ([5.0, 3.0, 3.9, 9.0, 3.0], 1),  # What lies beyond a dearer one is another place.
        ([1.0, 1.0, 1.0, 1.0], 1),  # The lower of two.
        ([0.0, 2.0], 0),
        ([4.0, 3.0, 2.5], 1),
    ],
)
def test_the_middle_one_of_those_that_cost_about_the_least(costs: list[float], chosen: int) -> None:
    assert middle(costs, 1.0) == chosen


def test_costs_are_those_of_each_agents_votes_alone(run: RunFolder, workload: Workload) -> None:
    policy = _policy(run, workload)
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    found = costs_by_reserve(policy, workload)
    assert all(torch.equal(value, before[name]) for name, value in policy.state_dict().items())
    lanes = workload.lanes("validation")
    recording = workload.recording(np.sort(lanes.order))
    for place in (0, 3, len(CANDIDATES) - 1):
        moved = _policy(run, workload)
        for agent in range(moved.agents):
            head = moved.actor(agent).policy_head
            assert head is not None
            head.bias.data[ALLOW] += CANDIDATES[place]
        votes = Team.of(moved).play(workload.table, lanes, MASKS).votes_by_state
        assert votes is not None
        for agent in range(moved.agents):
            alone = in_order(recording, lanes.order, votes[:, agent])
            assert found[place, agent] == outcome(recording, alone, workload.costs).cost


def test_an_agent_that_is_too_ready_learns_to_wait(run: RunFolder, workload: Workload) -> None:
    """Blocking everything by 1.2 nats costs more than doing nothing, so its reserve is above; who is sure stays."""
    policy = _policy(run, workload)
    for agent, sure in enumerate((1.2, 9.0, -9.0, 1.2)):
        head = policy.actor(agent).policy_head
        assert head is not None
        head.weight.data.zero_()
        head.bias.data.copy_(torch.tensor([0.0, -9.0, -9.0, sure]))
    first, second, third, fourth = tune_reserves(policy, workload)
    assert first == fourth == 2.0  # In the middle of 1.5 to 4.
    assert second == third == 1.0  # Nothing changes anywhere from 0 to 4.
    head = policy.actor(0).policy_head
    assert head is not None
    assert head.bias.tolist() == pytest.approx([2.0, -9.0, -9.0, 1.2])


def test_the_best_checkpoint_holds_it_once_and_training_goes_on_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custodes.train.reserve.CANDIDATES", (1.0, 1.5))
    run = train(load_preset("quick", RESERVED), tmp_path / "run")
    plain = train(load_preset("quick", PLAIN), tmp_path / "plain")
    best = checkpoint.load_file(run.checkpoints / "best.safetensors")
    other = checkpoint.load_file(plain.checkpoints / "best.safetensors")
    reserves = best.scalars[KEPT]
    assert len(reserves) == 4
    assert all(reserve in (1.0, 1.5) for reserve in reserves)
    for agent, reserve in enumerate(reserves):
        name = f"policy.actors.{agent}.policy_head.bias"
        moved = best.tensors[name] - other.tensors[name]
        assert moved.tolist() == pytest.approx([reserve, 0.0, 0.0, 0.0], abs=1e-6)
    assert all(
        torch.equal(value, best.tensors[name])
        for name, value in other.tensors.items()
        if "policy_head.bias" not in name
    )
    last = (run.checkpoints / "last.safetensors", plain.checkpoints / "last.safetensors")
    ours, theirs = (checkpoint.load_file(file) for file in last)
    assert KEPT not in ours.scalars
    assert all(torch.equal(value, theirs.tensors[name]) for name, value in ours.tensors.items())
    bits = (run.checkpoints / "best.safetensors").read_bytes()
    resume(run.path)
    assert (run.checkpoints / "best.safetensors").read_bytes() == bits


@pytest.mark.parametrize("setting", ["env.task=triage", "rl.sharing=shared"])
def test_it_needs_actions_that_intervene_and_agents_of_their_own(setting: str) -> None:
    with pytest.raises(
        CustodesError, match=r"train\.reserve: is set: it needs env\.task=response and rl\.sharing=none"
    ):
        load_preset("quick", [*RESERVED, setting])


def test_the_oracle_of_a_rehearsal_is_cheaper_than_all(run: RunFolder, workload: Workload) -> None:
    """The costs that are compared are costs of replays: none is below what perfect knowledge costs."""
    recording = workload.recording(np.sort(workload.lanes("validation").order))
    least = outcome(recording, oracle(recording), workload.costs).cost
    assert costs_by_reserve(_policy(run, workload), workload).min() >= least
