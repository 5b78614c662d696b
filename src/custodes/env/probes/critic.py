"""Probes for the critic: nothing to choose, or nothing worth choosing, but a value that is known exactly."""

from __future__ import annotations

import torch
from torch import Tensor

from custodes.env.probes.base import Outcome, Probe, never, series
from custodes.errors import CustodesError


class Constant(Probe):
    """One action, reward 1 per step, a constant observation; each episode is `steps` long, then ends or is cut.

    The two variants look the same in every observation and reward and differ in one flag only:

    - ended: the value of a step with h steps to go, this one included, is (1 - gamma^h) / (1 - gamma). The observation
      does not tell h; a recurrent critic can count, any other can only know the mean over h.
    - cut: the process goes on beyond the recording, so the value is 1 / (1 - gamma) at every step.

    Args:
        slots: B.
        agents: A.
        seed: Has no effect; nothing is drawn.
        steps: Episode length, at least 1.
        cut: True to truncate, False to terminate.
        discount: gamma, 0 to below 1.
    """

    def __init__(
        self, slots: int, agents: int, seed: int, *, steps: int = 8, cut: bool = False, discount: float = 0.95
    ) -> None:
        super().__init__(slots, agents, seed, inputs=1, actions=1, width=1)
        _check_length(steps)
        self.discount, self._steps, self._cut = discount, steps, cut
        self.tail = 1 / (1 - discount) if cut else 0.0
        self.optimum = self.uniform = self.tail if cut else series(discount, steps)

    def _start(self, count: int) -> Tensor:
        return torch.zeros((count, 1), dtype=torch.int64)

    def _look(self, state: Tensor) -> Tensor:
        return torch.ones((len(state), 1))

    def _play(self, state: Tensor, actions: Tensor, choice: Tensor) -> Outcome:
        following = state + 1
        over = following[:, 0] == self._steps
        none = never(len(state))
        return Outcome(
            reward=torch.ones(actions.shape),
            state=following,
            terminated=none if self._cut else over,
            truncated=over if self._cut else none,
        )

    def _value(self, state: Tensor) -> Tensor:
        if self._cut:
            return torch.full((len(state),), self.tail)
        return torch.tensor([series(self.discount, self._steps - int(t)) for t in state[:, 0]])


class Chain(Probe):
    """A walk over `steps` places that are told apart; each place pays its own reward, then the episode ends.

    Nothing is random and there is one action, so that the observation determines every return: the floor of the value
    loss is 0. Place i pays 1 for even i and -0.5 for odd i.

    Args:
        slots: B.
        agents: A.
        seed: Has no effect; nothing is drawn.
        steps: Places, at least 1; also D (one input per place).
        discount: gamma, 0 to 1.
    """

    def __init__(self, slots: int, agents: int, seed: int, *, steps: int = 8, discount: float = 0.95) -> None:
        _check_length(steps)
        super().__init__(slots, agents, seed, inputs=steps, actions=1, width=1)
        self.discount, self._steps = discount, steps
        self._rewards = torch.tensor([1.0 if place % 2 == 0 else -0.5 for place in range(steps)])
        returns = [0.0]
        for reward in reversed(self._rewards.tolist()):
            returns.append(reward + discount * returns[-1])
        self._returns = torch.tensor(returns[:0:-1])
        self.optimum = self.uniform = returns[-1]

    def _start(self, count: int) -> Tensor:
        return torch.zeros((count, 1), dtype=torch.int64)

    def _look(self, state: Tensor) -> Tensor:
        # The place behind the last one is never acted in; it looks like nothing.
        return torch.nn.functional.one_hot(state[:, 0], self._steps + 1)[:, : self._steps].to(torch.float32)

    def _play(self, state: Tensor, actions: Tensor, choice: Tensor) -> Outcome:
        reward = self._rewards[state[:, 0]].unsqueeze(1).expand(actions.shape)
        following = state + 1
        return Outcome(
            reward=reward, state=following, terminated=following[:, 0] == self._steps, truncated=never(len(state))
        )

    def _value(self, state: Tensor) -> Tensor:
        return self._returns[state[:, 0]]

    def floor(self) -> float:
        """Least mean squared error of any critic against the Monte Carlo return: 0."""
        return 0.0


class Noise(Probe):
    """Rewards drawn independently of everything, beside inputs that say nothing: no critic beats the value 0.

    With rewards of variance s^2 the Monte Carlo return of a step with h steps to go, this one included, has variance
    s^2 (1 - gamma^2h) / (1 - gamma^2); its mean over the episode is the floor of the value loss.

    Args:
        slots: B.
        agents: A.
        seed: Seeds rewards and inputs.
        steps: Episode length, at least 1; episodes end (terminated).
        deviation: Standard deviation of the normal rewards, s >= 0.
        discount: gamma, 0 to 1.
    """

    def __init__(
        self,
        slots: int,
        agents: int,
        seed: int,
        *,
        steps: int = 256,
        deviation: float = 1.0,
        discount: float = 0.99,
    ) -> None:
        _check_length(steps)
        super().__init__(slots, agents, seed, inputs=2, actions=2, width=3)
        self.discount, self._steps, self._deviation = discount, steps, deviation
        self.optimum = self.uniform = 0.0

    def _start(self, count: int) -> Tensor:
        return torch.cat((torch.zeros((count, 1), dtype=torch.int64), self._inputs_of(count)), dim=1)

    def _look(self, state: Tensor) -> Tensor:
        return state[:, 1:].to(torch.float32) / 1000

    def _play(self, state: Tensor, actions: Tensor, choice: Tensor) -> Outcome:
        reward = self._deviation * torch.randn((len(state), 1), generator=self._generator)
        time = state[:, :1] + 1
        return Outcome(
            reward=reward.expand(actions.shape),
            state=torch.cat((time, self._inputs_of(len(state))), dim=1),
            terminated=time[:, 0] == self._steps,
            truncated=never(len(state)),
        )

    def _inputs_of(self, count: int) -> Tensor:
        """Thousandths of two uniform inputs within -1 to 1, int64 [count, 2]."""
        return torch.randint(-1000, 1001, (count, 2), generator=self._generator)

    def _value(self, state: Tensor) -> Tensor:
        return torch.zeros(len(state))

    def floor(self, discount: float | None = None) -> float:
        """Least expected mean squared error of any critic against the Monte Carlo return.

        Args:
            discount: gamma; None for the probe's own.

        Returns:
            Mean over an episode's steps of the variance of the return, in squared reward.
        """
        gamma = self.discount if discount is None else discount
        variances = [series(gamma**2, left) for left in range(1, self._steps + 1)]
        return self._deviation**2 * sum(variances) / self._steps


def _check_length(steps: int) -> None:
    """Refuse episodes without a step."""
    if steps < 1:
        raise CustodesError(f"an episode of {steps} steps", where="probe.steps", fix="use at least 1")
