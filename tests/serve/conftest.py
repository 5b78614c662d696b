"""A small recording, and a run on it whose agents are sure of themselves without having been trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from custodes.rl.networks import Policy
from custodes.team.workload import Workload
from custodes.train import checkpoint
from custodes.train.encoder_file import encoder_digest, write_encoder
from custodes.train.presets import load_preset
from custodes.train.run_folder import create_run
from custodes.train.scoring import workload_for

SMALL = (
    "data.synthetic.hosts=3",
    "data.synthetic.processes=40",
    "data.synthetic.events=4000",
    "data.synthetic.campaigns=9",
    "env.window=40",
    "rl.hidden=8",
    "rl.encoder=8",
    "response.analysts=1",
    "response.queue=1",
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A run and what it plays on."""

    path: Path
    """Of the run."""
    workload: Workload
    """Its data."""
    policy: Policy
    """Its agents."""

    def events(self, start: int = 0, stop: int | None = None) -> list[dict[str, Any]]:
        """Events in recorded order."""
        return self.workload.dataset.events[start:stop].to_dicts()


def make_case(path: Path, *settings: str, seed: int = 11) -> Case:
    """A run whose networks are random, and sharp enough that rounding changes no vote."""
    config = load_preset("quick", [*SMALL, *settings])
    workload = workload_for(config)
    run = create_run(path, config, workload.dataset.digest, encoder=encoder_digest(workload.encoder))
    write_encoder(path, workload.encoder)
    inputs = workload.table.inputs
    torch.manual_seed(seed)
    policy = Policy(config.rl, agents=config.team.agents, inputs=inputs, central_inputs=inputs, actions=4)
    with torch.no_grad():
        first = policy.actor(0).state_dict()
        for network in policy.networks()[: len(policy.actors)]:
            assert network.policy_head is not None
            # Agents that mostly agree, with the odd one out, and mostly Allow, as a trained team does.
            network.load_state_dict(first)
            network.policy_head.weight.mul_(1500.0)
            network.policy_head.bias.copy_(torch.tensor([11.0, 6.5, 3.0, 2.5]) + 0.3 * torch.randn(4))
            for name, parameter in network.core.named_parameters():
                parameter.copy_(2.0 * first[f"core.{name}"] if "weight" in name else 0.05 * torch.randn_like(parameter))
    tensors = {f"policy.{name}": value for name, value in policy.state_dict().items()}
    checkpoint.save(run.checkpoints, tensors, {"iteration": 0, "decisions": 0})
    return Case(path=path, workload=workload, policy=policy)


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Response task, overlapping views, LSTM."""
    return make_case(tmp_path_factory.mktemp("serve") / "run")
