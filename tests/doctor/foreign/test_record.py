"""The callback's record: what it measures on a model, and files that are none."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from custodes.doctor import diagnose
from custodes.doctor.foreign import read_foreign
from custodes.doctor.foreign.sb3_measure import after_update, before_update, facts_of, gradients_of, parameters_of
from custodes.errors import CustodesError

T, B = 32, 4


class Policy(nn.Module):
    """What the callback asks of a policy of Stable-Baselines3."""

    def __init__(self, *, dropout: float = 0.0, column: bool = False) -> None:
        super().__init__()
        self.mlp_extractor = nn.Module()
        self.mlp_extractor.policy_net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(dropout))
        self.action_net, self.value_net = nn.Linear(8, 2), nn.Linear(8, 1)
        self.optimizer = torch.optim.Adam(self.parameters())
        self.column = column
        self.eval()

    def distribution(self, observations: torch.Tensor) -> torch.distributions.Categorical:
        features = self.mlp_extractor.policy_net(observations.float())  # type: ignore[operator]
        return torch.distributions.Categorical(logits=self.action_net(features))

    def evaluate_actions(self, observations: torch.Tensor, actions: torch.Tensor) -> tuple[torch.Tensor, ...]:
        policy = self.distribution(observations)
        chance = policy.log_prob(actions)  # type: ignore[no-untyped-call]
        entropy = policy.entropy()  # type: ignore[no-untyped-call]
        return (
            self.value_net(observations.float().new_zeros(len(actions), 8)),
            chance[:, None] if self.column else chance,
            entropy,
        )

    def get_distribution(self, observations: torch.Tensor) -> Any:
        return SimpleNamespace(mode=lambda: self.distribution(observations).logits.argmax(-1))


def model(**kwargs: Any) -> Any:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    policy = Policy(**kwargs)
    observations = rng.normal(size=(T, B, 3)).astype(np.float32)
    with torch.no_grad():
        chances = policy.distribution(torch.from_numpy(observations))
        actions = chances.sample()  # type: ignore[no-untyped-call]
        old = chances.log_prob(actions)  # type: ignore[no-untyped-call]
    starts = np.zeros((T, B), np.float32)
    starts[::8] = 1
    buffer = SimpleNamespace(
        observations=observations,
        actions=actions[..., None].numpy().astype(np.float32),
        log_probs=old.numpy(),
        rewards=np.ones((T, B), np.float32),
        returns=observations[..., 0] * 5,
        values=np.zeros((T, B), np.float32),
        advantages=rng.normal(size=(T, B)).astype(np.float32),
        episode_starts=starts,
    )
    return SimpleNamespace(
        policy=policy,
        rollout_buffer=buffer,
        action_space=SimpleNamespace(n=2),
        device="cpu",
        n_steps=T,
        n_envs=B,
        batch_size=32,
        gamma=0.99,
        max_grad_norm=0.5,
        clip_range=lambda _: 0.2,
        clip_range_vf=None,
        logger=SimpleNamespace(name_to_value={"train/entropy_loss": -0.5, "train/value_loss": 3.0}),
    )


def generator_of_numpy() -> str:
    return repr(np.random.get_state())  # noqa: NPY002


def test_a_sound_policy() -> None:
    line = before_update(model())
    assert line["ratio_error"] < 1e-6
    assert (line["ratio_elements"], line["repeat_error"]) == (1.0, 0.0)
    assert line["return_std"] == pytest.approx(5.0, rel=0.2)
    assert line["value_loss_floor"] < 0.01 * line["value_loss"]
    assert abs(line["vote_surprise"][0]) < 4
    assert sum(line["action_shares"][0]) == pytest.approx(1.0)
    assert "reward_min" not in line


@pytest.mark.parametrize(
    ("kwargs", "name"), [({"column": True}, "ratio-broadcast"), ({"dropout": 0.3}, "dropout-mismatch")]
)
def test_a_broken_policy_is_named(tmp_path: Path, kwargs: dict[str, Any], name: str) -> None:
    lines = [{"iteration": i, **before_update(model(**kwargs))} for i in range(1, 4)]
    head = {"trainer": "t", "facts": facts_of(model(), {"total_timesteps": 1280})}
    (tmp_path / "doctor.jsonl").write_text("".join(json.dumps(line) + "\n" for line in (head, *lines)))
    run = read_foreign(tmp_path)
    assert name in [finding.name for finding in diagnose(run.signals).findings]
    assert (run.signals.facts.minibatches, run.signals.facts.planned_iterations) == (4, 10)


def test_looking_changes_nothing() -> None:
    watched = model(dropout=0.5)
    generator, weights = torch.get_rng_state(), parameters_of(watched)
    draws = generator_of_numpy()
    modes = [module.training for module in watched.policy.modules()]
    before_update(watched)
    assert torch.equal(generator, torch.get_rng_state())
    assert draws == generator_of_numpy()
    assert torch.equal(weights, parameters_of(watched))
    assert modes == [module.training for module in watched.policy.modules()]


def test_what_the_update_left() -> None:
    watched = model()
    before = parameters_of(watched)
    watched.policy.distribution(torch.ones(4, 3)).entropy().sum().backward()
    with torch.no_grad():
        for parameter in watched.policy.parameters():
            parameter.mul_(2.0)
    line = after_update(watched, before)
    assert line["parameter_step"] == pytest.approx(1.0)
    assert (line["entropy"], line["value_loss_update"]) == (0.5, 3.0)
    norms = gradients_of(watched)
    assert norms["grad_first"] > 0
    assert "grad_value_head" not in norms


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no record of a training"),
        ('{"iteration": 1}\n', "no record of a training"),
        ('{"facts": {"nope": 1}}\n', "line 1: facts that are not known here"),
        ('{"facts": {}}\nx\n', "line 2: not JSON"),
        ('{"facts": {}}\n[]\n', "line 2: not a JSON object"),
        ('{"facts": {}}\n{"kl": 1}\n', "line 2: no iteration"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "doctor.jsonl").write_text(text)
    with pytest.raises(CustodesError, match=message):
        read_foreign(tmp_path)


def test_a_cut_line_is_left_out_and_told(tmp_path: Path) -> None:
    (tmp_path / "doctor.jsonl").write_text('{"facts": {}}\n{"iteration": 1, "kl": 0.1}\n{"iter')
    run = read_foreign(tmp_path)
    assert (len(run.signals), run.notes) == (1, ("the last line is unfinished and left out",))
