"""PopArt: predictions in units of reward do not move when the statistics do."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from custodes.rl.config import LearnerConfig
from custodes.rl.networks import Policy
from custodes.rl.normalise import ValueNorm, rescale_heads


@pytest.mark.parametrize(("algorithm", "sharing"), [("ippo", "none"), ("ippo", "shared"), ("mappo", "none")])
def test_rescaling_preserves_predictions(algorithm: str, sharing: str) -> None:
    config = replace(LearnerConfig(encoder=4, hidden=4), algorithm=algorithm, sharing=sharing)  # type: ignore[arg-type]
    policy = Policy(config, agents=3, inputs=2, central_inputs=2, actions=4)
    old = ValueNorm.start(policy.value_groups)
    new = old.updated(torch.randn(100, 3) * 50 + 7, 0.9)
    y = torch.randn(10, 4)
    heads = [n.value_head for n in policy.networks() if n.value_head is not None]

    def predict(norm: ValueNorm) -> torch.Tensor:
        return norm.denormalise(torch.cat([head(y) for head in heads], dim=1))

    before = predict(old).clone()
    rescale_heads(policy, old, new)
    torch.testing.assert_close(predict(new), before, rtol=1e-4, atol=1e-4)


def test_first_batch_counts_fully_and_later_ones_decay() -> None:
    norm = ValueNorm.start(1).updated(torch.full((10, 1), 4.0), 0.9)
    assert norm.mean.item() == pytest.approx(4.0)
    norm = norm.updated(torch.full((10, 1), 0.0), 0.9)
    # Debiased weights 0.09 : 0.1.
    assert norm.mean.item() == pytest.approx(4.0 * 0.09 / 0.19)


def test_normalise_and_denormalise_are_inverse() -> None:
    norm = ValueNorm.start(2).updated(torch.randn(50, 2) * torch.tensor([0.5, 300.0]), 0.5)
    x = torch.randn(7, 2)
    torch.testing.assert_close(norm.denormalise(norm.normalise(x)), x, rtol=1e-4, atol=1e-4)


def test_constant_targets_do_not_divide_by_zero() -> None:
    norm = ValueNorm.start(1).updated(torch.ones(10, 1), 0.9)
    assert bool(norm.normalise(torch.tensor([2.0])).isfinite())
