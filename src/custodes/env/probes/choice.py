"""Probes for the policy: one thing to get right, with the best return known."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import torch
from torch import Tensor

from custodes.env.probes.base import Outcome, Probe, never, series
from custodes.errors import CustodesError


class Bandit(Probe):
    """One step, several arms, normal rewards around each arm's mean.

    Args:
        slots: B.
        agents: A; each agent pulls and is paid for its own arm.
        seed: Seeds the rewards.
        means: Expected reward of each arm, at least one.
        deviation: Standard deviation of every arm, >= 0.
        discount: gamma; has no effect on one step.
    """

    def __init__(
        self,
        slots: int,
        agents: int,
        seed: int,
        *,
        means: Sequence[float] = (0.0, 0.25, 0.5, 1.0),
        deviation: float = 0.5,
        discount: float = 0.95,
    ) -> None:
        super().__init__(slots, agents, seed, inputs=1, actions=len(means), width=1)
        self.discount, self._deviation = discount, deviation
        self._means = torch.tensor(list(means), dtype=torch.float32)
        self.optimum, self.uniform = max(means), sum(means) / len(means)

    def _start(self, count: int) -> Tensor:
        return torch.zeros((count, 1), dtype=torch.int64)

    def _look(self, state: Tensor) -> Tensor:
        return torch.ones((len(state), 1))

    def _play(self, state: Tensor, actions: Tensor, choice: Tensor) -> Outcome:
        noise = torch.randn(actions.shape, generator=self._generator)
        return Outcome(
            reward=self._means[actions] + self._deviation * noise,
            state=state,
            terminated=~never(len(state)),
            truncated=never(len(state)),
        )

    def _value(self, state: Tensor) -> Tensor:
        return torch.full((len(state),), self.optimum)

    def floor(self, policy: Sequence[float]) -> float:
        """Least mean squared error of any critic against the return, for a policy that does not look.

        Args:
            policy: Probability of each arm.

        Returns:
            Variance of the reward, that of the choice of arm included: the critic does not see the action.
        """
        weights = torch.tensor(list(policy), dtype=torch.float64)
        means = self._means.double()
        mean = (weights * means).sum()
        return float(self._deviation**2 + (weights * (means - mean) ** 2).sum())


class DelayedReward(Probe):
    """A cue (0 or 1) and an action at step 0; the reward, 1 if they were equal, comes `delay` steps later.

    What is done in between has no effect, and the observation shows only the time: it hides whether the first action
    was right. The best return is gamma^delay. TD(0) cannot find it: r_0 = 0, and the value of step 1 is the same
    whatever was done. Monte Carlo and lambda near 1 can.

    Args:
        slots: B.
        agents: A; each is paid for its own action.
        seed: Seeds the cues.
        delay: k >= 1; the episode has k + 1 steps and ends (terminated).
        discount: gamma, 0 to 1.
    """

    def __init__(self, slots: int, agents: int, seed: int, *, delay: int = 5, discount: float = 0.95) -> None:
        _check_delay(delay)
        # State: time, cue, whether each agent was right.
        super().__init__(slots, agents, seed, inputs=delay + 2, actions=2, width=2 + agents)
        self.discount, self._delay = discount, delay
        self.optimum, self.uniform = discount**delay, 0.5 * discount**delay

    def _start(self, count: int) -> Tensor:
        state = torch.zeros((count, self._width), dtype=torch.int64)
        state[:, 1] = torch.randint(0, 2, (count,), generator=self._generator)
        return state

    def _look(self, state: Tensor) -> Tensor:
        time = state[:, 0].clamp(max=self._delay)
        clock = torch.nn.functional.one_hot(time, self._delay + 1).to(torch.float32)
        cue = torch.where(time == 0, 2 * state[:, 1] - 1, 0).to(torch.float32)
        return torch.cat((cue.unsqueeze(1), clock), dim=1)

    def _play(self, state: Tensor, actions: Tensor, choice: Tensor) -> Outcome:
        time, cue, right = state[:, :1], state[:, 1:2], state[:, 2:]
        right = torch.where(time == 0, (actions == cue).to(torch.int64), right)
        pays = time == self._delay
        return Outcome(
            reward=(right * pays).to(torch.float32),
            state=torch.cat((time + 1, cue, right), dim=1),
            terminated=pays[:, 0],
            truncated=never(len(state)),
        )

    def _value(self, state: Tensor) -> Tensor:
        time, right = state[:, 0], state[:, 2:].to(torch.float32).mean(1)
        return torch.where(time == 0, 1.0, right) * self.discount ** (self._delay - time)


class Memory(Probe):
    """A cue (0 or 1) at step 0, silence, and at step `delay` a call to name it: 1 if right, -1 if wrong, then the end.

    Only memory solves it: best return gamma^delay with a recurrent agent, 0 without one.

    Args:
        slots: B.
        agents: A; each is paid for its own answer.
        seed: Seeds the cues.
        delay: k >= 1; the episode has k + 1 steps and ends (terminated).
        discount: gamma, 0 to 1.
    """

    def __init__(self, slots: int, agents: int, seed: int, *, delay: int = 5, discount: float = 0.95) -> None:
        _check_delay(delay)
        super().__init__(slots, agents, seed, inputs=2, actions=2, width=2)
        self.discount, self._delay = discount, delay
        self.optimum, self.uniform = discount**delay, 0.0

    def _start(self, count: int) -> Tensor:
        cue = torch.randint(0, 2, (count, 1), generator=self._generator)
        return torch.cat((torch.zeros_like(cue), cue), dim=1)

    def _look(self, state: Tensor) -> Tensor:
        time, cue = state[:, 0], state[:, 1]
        shown = torch.where(time == 0, 2 * cue - 1, 0)
        return torch.stack((shown, (time == self._delay).to(torch.int64)), dim=1).to(torch.float32)

    def _play(self, state: Tensor, actions: Tensor, choice: Tensor) -> Outcome:
        time, cue = state[:, :1], state[:, 1:]
        called = time == self._delay
        answer = torch.where(actions == cue, 1.0, -1.0)
        return Outcome(
            reward=answer * called,
            state=torch.cat((time + 1, cue), dim=1),
            terminated=called[:, 0],
            truncated=never(len(state)),
        )

    def _value(self, state: Tensor) -> Tensor:
        return torch.pow(self.discount, (self._delay - state[:, 0]).to(torch.float32))


class TruncationVsTermination(Probe):
    """Two ways on from the first step, reward 1 at every step of both; one is cut early, the other ends late.

    Action 0 leads to a process that never ends and whose recording is cut after `cut` more steps, so it is worth
    1 / (1 - gamma); action 1 to one that ends after `end` more steps. With cut < end, whoever treats truncation as
    termination sees the shorter sum in action 0 and takes action 1: the optimum flips. On the way a step shows only
    which way it is, never the time.

    Args:
        slots: B.
        agents: A; the most common first action is the way that is taken.
        seed: Has no effect; nothing is drawn.
        cut: Steps after the first until the endless way is truncated, at least 1.
        end: Steps after the first until the other way terminates, more than `cut`.
        discount: gamma, 0 to below 1.
    """

    def __init__(
        self, slots: int, agents: int, seed: int, *, cut: int = 3, end: int = 9, discount: float = 0.95
    ) -> None:
        if not 1 <= cut < end:
            raise CustodesError(f"cut {cut} and end {end}", where="probe", fix="use 1 <= cut < end")
        super().__init__(slots, agents, seed, inputs=3, actions=2, width=2)
        self.discount, self._cut, self._end = discount, cut, end
        self.tail = self.optimum = 1 / (1 - discount)
        wins = _majority_chance(agents)
        self.uniform = (1 - wins) * self.optimum + wins * series(discount, end + 1)

    def _start(self, count: int) -> Tensor:
        return torch.zeros((count, 2), dtype=torch.int64)

    def _look(self, state: Tensor) -> Tensor:
        place = torch.where(state[:, 0] == 0, 0, 1 + state[:, 1])
        return torch.nn.functional.one_hot(place, 3).to(torch.float32)

    def _play(self, state: Tensor, actions: Tensor, choice: Tensor) -> Outcome:
        time, way = state[:, 0], torch.where(state[:, 0] == 0, choice, state[:, 1])
        return Outcome(
            reward=torch.ones(actions.shape),
            state=torch.stack((time + 1, way), dim=1),
            terminated=(way == 1) & (time == self._end),
            truncated=(way == 0) & (time == self._cut),
        )

    def _value(self, state: Tensor) -> Tensor:
        ending = torch.tensor([series(self.discount, self._end + 1 - int(time)) for time in state[:, 0]])
        return torch.where((state[:, 0] == 0) | (state[:, 1] == 0), self.tail, ending)


class EndingAction(Probe):
    """A prize that grows with every step; action 1 takes it and ends the episode, action 0 goes on.

    At step t of `steps` the prize is t + 1; after the last step the episode ends whatever is done, with nothing for
    whoever never took it. The best return is max over t of gamma^t (t + 1).

    Args:
        slots: B.
        agents: A; the most common action is taken, and all are paid alike.
        seed: Has no effect; nothing is drawn.
        steps: Steps until the prize is gone, at least 1; also D (one input per step).
        discount: gamma, 0 to 1.
    """

    def __init__(self, slots: int, agents: int, seed: int, *, steps: int = 5, discount: float = 0.95) -> None:
        if steps < 1:
            raise CustodesError(f"an episode of {steps} steps", where="probe.steps", fix="use at least 1")
        super().__init__(slots, agents, seed, inputs=steps, actions=2, width=1)
        self.discount, self._steps = discount, steps
        best, uniform, takes = [0.0], 0.0, _majority_chance(agents)
        for prize in range(steps, 0, -1):
            best.append(max(float(prize), discount * best[-1]))
            uniform = takes * prize + (1 - takes) * discount * uniform
        self._best = torch.tensor(best[:0:-1])
        self.optimum, self.uniform = best[-1], uniform

    def _start(self, count: int) -> Tensor:
        return torch.zeros((count, 1), dtype=torch.int64)

    def _look(self, state: Tensor) -> Tensor:
        # The step behind the last one is never acted in; it looks like nothing.
        return torch.nn.functional.one_hot(state[:, 0], self._steps + 1)[:, : self._steps].to(torch.float32)

    def _play(self, state: Tensor, actions: Tensor, choice: Tensor) -> Outcome:
        following = state + 1
        prize = (following * choice.unsqueeze(1)).to(torch.float32)
        return Outcome(
            reward=prize.expand(actions.shape),
            state=following,
            terminated=(choice == 1) | (following[:, 0] == self._steps),
            truncated=never(len(state)),
        )

    def _value(self, state: Tensor) -> Tensor:
        return self._best[state[:, 0]]


def _majority_chance(agents: int) -> float:
    """Chance that more than half of the agents choose action 1 when each tosses a coin."""
    ways = sum(comb(agents, ones) for ones in range(agents // 2 + 1, agents + 1))
    return ways / float(2**agents)


def _check_delay(delay: int) -> None:
    """Refuse a delay that is none."""
    if delay < 1:
        raise CustodesError(f"a delay of {delay} steps", where="probe.delay", fix="use at least 1")
