"""The plain loop is the yardstick, so it has to be right."""

from __future__ import annotations

import torch

from benchmarks.train_peers.lstm_loop import LstmLoop, RecurrentNet, advantages_of
from benchmarks.train_peers.workload import Workload

TINY = Workload(lanes=4, inputs=3, hidden=5, rollout=12, minibatches=2, epochs=1, distinct=6, shortest=2, longest=5)


def test_advantages_equal_the_definition() -> None:
    torch.manual_seed(0)
    T, B, gamma, lam = 9, 3, 0.9, 0.8
    rewards, values = torch.randn(T, B), torch.randn(T + 1, B)
    resets = (torch.rand(T + 1, B) < 0.3).float()
    found = advantages_of(rewards, values, resets, gamma, lam)
    for b in range(B):
        for t in range(T):
            expected, weight = 0.0, 1.0
            for k in range(t, T):
                goes_on = 1.0 - float(resets[k + 1, b])
                error = float(rewards[k, b]) + gamma * goes_on * float(values[k + 1, b]) - float(values[k, b])
                expected += weight * error
                weight *= gamma * lam * goes_on
            torch.testing.assert_close(float(found[t, b]), expected, atol=1e-5, rtol=1e-5)


def test_a_reset_forgets_the_lane_before() -> None:
    torch.manual_seed(0)
    net = RecurrentNet(TINY)
    x = torch.randn(7, 2, TINY.inputs)
    zeros = (torch.zeros(1, 2, TINY.hidden), torch.zeros(1, 2, TINY.hidden))
    resets = torch.zeros(7, 2)
    resets[4] = 1.0
    logits, values, _ = net(x, zeros, resets)
    alone_logits, alone_values, _ = net(x[4:], zeros, torch.zeros(3, 2))
    torch.testing.assert_close(logits[4:], alone_logits)
    torch.testing.assert_close(values[4:], alone_values)


def test_nothing_has_moved_before_the_first_step() -> None:
    torch.manual_seed(0)
    loop = LstmLoop(TINY, 0)
    for _ in range(3):
        rollout = loop.collect()
        logits, values, _ = loop.net(rollout.inputs, rollout.state, rollout.resets)
        again = logits.log_softmax(-1).gather(-1, rollout.actions[..., None])[..., 0]
        torch.testing.assert_close(again, rollout.log_probs)
        torch.testing.assert_close(values, rollout.returns - rollout.advantages)
        loop.update(rollout)


def test_the_network_is_the_agreed_one() -> None:
    w = Workload()
    linear, lstm, heads = 16 * 64 + 64, 4 * (64 * 64 + 64 * 64 + 2 * 64), 64 * 5 + 5
    assert LstmLoop(w, 0).parameters == linear + lstm + heads == 34_693
