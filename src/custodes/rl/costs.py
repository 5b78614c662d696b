"""Critics of costs, and advantages that weigh costs against the reward (PPO-Lagrangian).

Each agent has a critic beside its reward critic: a small network on what the agent sees, on its recurrent cell's output
(no gradient goes back into it), and on what the constraints are waiting for. It predicts, for each constraint, the cost
that is still to come in the lane.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, final

import torch
from torch import Tensor, nn

from custodes.errors import CustodesError
from custodes.rl.acting import Actor
from custodes.rl.networks import Policy
from custodes.rl.returns import Targets
from custodes.rl.rollout import Position, Rollout
from custodes.rl.shares import mean, shares, standardised

PARTS: Final = 4
"""Minibatches per pass."""


@final
class CostNetwork(nn.Module):
    """A perceptron with one hidden layer for each of A agents, as stacked weights.

    Args:
        agents: A.
        inputs: P.
        hidden: Width.
        costs: S.
        generator: Draws the weights; the outputs begin at 0.
    """

    def __init__(self, *, agents: int, inputs: int, hidden: int, costs: int, generator: torch.Generator) -> None:
        super().__init__()
        first = torch.empty(agents, inputs, hidden)
        for weights in first:
            nn.init.orthogonal_(weights, 2.0**0.5, generator=generator)
        self.first = nn.Parameter(first)
        self.first_bias = nn.Parameter(torch.zeros(agents, 1, hidden))
        self.second = nn.Parameter(torch.zeros(agents, hidden, costs))
        self.second_bias = nn.Parameter(torch.zeros(agents, 1, costs))

    def forward(self, x: Tensor) -> Tensor:
        """[A, n, P] to [A, n, S]."""
        hidden = torch.baddbmm(self.first_bias, x, self.first).tanh()
        return torch.baddbmm(self.second_bias, hidden, self.second)


@dataclass(frozen=True, kw_only=True)
class CostLesson:
    """What a rollout teaches about costs."""

    advantages: Tensor
    """float32 [T, B, A, S], mean 0 over the rollout for each agent and cost; not scaled."""
    value_loss: Tensor
    """float32 [S]: mean squared error of the acting critics on this rollout's targets, over agents' own actions."""


@final
class CostCritics:
    """Cost critics with their optimiser.

    Args:
        policy: Whose cells they read.
        inputs: Width of an agent's observation.
        context: Width of what the constraints are waiting for.
        costs: S.
        discounts: Per cost, 0 to 1 (`discount_of`).
        lam: Lambda of the advantages.
        hidden: Width of the critics.
        learning_rate: Of their Adam.
        epochs: Passes over a rollout.
        seed: Of their weights and minibatches.
        device: Where to compute.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        inputs: int,
        context: int,
        discounts: tuple[float, ...],
        lam: float,
        hidden: int,
        learning_rate: float,
        epochs: int,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self._lam, self._epochs = lam, epochs
        self._discounts = torch.tensor(discounts, device=device)
        self._generator = torch.Generator().manual_seed(seed)
        self.network = CostNetwork(
            agents=policy.agents,
            inputs=inputs + policy.hidden + context,
            hidden=hidden,
            costs=len(discounts),
            generator=self._generator,
        ).to(device)
        self._optimiser = torch.optim.Adam(self.network.parameters(), lr=learning_rate, eps=1e-5, fused=True)

    def learn(
        self,
        policy: Policy,
        rollout: Rollout,
        position: Position,
        cost: Tensor,
        context: Tensor,
        share: Tensor | None = None,
    ) -> CostLesson:
        """Form advantages with the critics as they stood, then fit them to the returns of what agents did themselves.

        Args:
            policy: As it acted.
            rollout: T steps of B slots.
            position: Where it was cut.
            cost: float32 [T, B, A, S].
            context: float32 [T, B, A, K].
            share: How much each action counts in the advantages' mean (`shares_of`); None where all count alike.
        """
        known = torch.cat((rollout.observation, rollout.output, context.permute(2, 0, 1, 3)), dim=-1)
        with torch.no_grad():
            value = self._values(known)
            following = torch.cat((value[1:], self._following(policy, position, context[-1])[None]))
            # What is known at once has no baseline but the mean: a policy that is sure of a forbidden action would see
            # advantages of 0 for it as soon as the critic expects it, and its rare other actions are hardly ever drawn.
            baseline = value * (self._discounts > 0)
            raw = cost_advantages(cost, baseline, following, rollout.done, self._discounts, self._lam)
            target = raw + baseline
        learns = None if rollout.learns is None else rollout.learns.permute(2, 0, 1).flatten(1, 2)
        self._fit(known.flatten(1, 2), target.permute(2, 0, 1, 3).flatten(1, 2), learns)
        error = (target - value).square()
        loss = error.mean(dim=(0, 1, 2))
        if rollout.learns is not None:
            own = rollout.learns[..., None]
            loss = (error * own).sum(dim=(0, 1, 2)) / own.sum().clamp(min=1)
        centre = raw.mean(dim=(0, 1)) if share is None else mean(raw.flatten(0, 1), share.flatten(0, 1))
        return CostLesson(advantages=raw - centre, value_loss=loss)

    def _values(self, known: Tensor) -> Tensor:
        """[T, B, A, S] from [A, T, B, P]."""
        A, T, B, _ = known.shape
        values: Tensor = self.network(known.flatten(1, 2))
        return values.reshape(A, T, B, -1).permute(1, 2, 0, 3)

    def _following(self, policy: Policy, position: Position, context: Tensor) -> Tensor:
        """Values [B, A, S] at the observation after the last step, under what was waited for at the last one."""
        state = Actor(policy).step(position.observation, position.state).state
        after = state.actor[0] if policy.critic is None else state.critic[0].expand_as(state.actor[0])
        seen = position.observation.agents.transpose(0, 1)
        known = torch.cat((seen, after, context.transpose(0, 1)), dim=-1)
        values: Tensor = self.network(known)
        return values.transpose(0, 1)

    def _fit(self, known: Tensor, target: Tensor, learns: Tensor | None) -> None:
        """Passes over inputs [A, n, P] and targets [A, n, S]; where bool [A, n] is False there is nothing to learn."""
        for _ in range(self._epochs):
            order = torch.randperm(known.shape[1], generator=self._generator).to(known.device)
            for part in order.tensor_split(PARTS):
                error = (self.network(known[:, part]) - target[:, part]).square()
                if learns is not None:
                    own = learns[:, part, None].to(error.dtype)
                    error = error * own / own.mean(dim=1, keepdim=True).clamp(min=1e-8)
                self._optimiser.zero_grad(set_to_none=True)
                # Agents have weights of their own: the sum fits each as if it were alone.
                error.mean(dim=1).sum().backward()
                self._optimiser.step()

    def state(self) -> dict[str, Tensor]:
        """Weights, moments and generator, as copies on the CPU."""
        made = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        names = [name for name, _ in self.network.named_parameters()]
        for index, values in self._optimiser.state_dict()["state"].items():
            made |= {f"optimiser.{names[index]}.{key}": value for key, value in values.items()}
        made["generator"] = self._generator.get_state()
        return {name: value.detach().cpu().clone().contiguous() for name, value in made.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue exactly from `state()`.

        Raises:
            CustodesError: It is of other critics.
        """
        own = self.network.state_dict()
        found = {name: state.get(f"network.{name}") for name in own}
        if any(value is None or value.shape != own[name].shape for name, value in found.items()):
            raise CustodesError("the cost critics are of another run", where="checkpoint", fix="train a new run")
        self.network.load_state_dict(found)
        slots: dict[int, dict[str, Tensor]] = {}
        for index, (name, _) in enumerate(self.network.named_parameters()):
            prefix = f"optimiser.{name}."
            values = {k.removeprefix(prefix): v.clone() for k, v in state.items() if k.startswith(prefix)}
            if values:
                slots[index] = values
        groups = self._optimiser.state_dict()["param_groups"]
        self._optimiser.load_state_dict({"state": slots, "param_groups": groups})
        self._generator.set_state(state["generator"])


def discount_of(delay: int | None) -> float:
    """Discount per step of a cost that becomes known so many steps, at most, after the act that decides it.

    The rate that is constrained is undiscounted. This discount only says how far an action is held to account (Schulman
    et al. 2016, section 3: it trades bias for variance): 0 for what is known at once, an effective horizon of the delay
    plus one else, and 1 without a bound.
    """
    return 1.0 if delay is None else delay / (delay + 1)


def cost_advantages(
    cost: Tensor, value: Tensor, following: Tensor, done: Tensor, discounts: Tensor, lam: float
) -> Tensor:
    """Generalised advantages of S costs with a discount each, [T, B, A, S].

    Nothing is known after the end of a lane, however it ended, so nothing is bootstrapped there.

    Args:
        cost: [T, B, A, S].
        value: The same, of the acting critics.
        following: The same, of the next step of the lane.
        done: Bool [T, B].
        discounts: [S].
        lam: Lambda, 0 to 1.
    """
    keep = (~done).to(cost.dtype)[..., None, None]
    delta = cost + discounts * keep * following - value
    result = torch.empty_like(delta)
    running = torch.zeros_like(delta[0])
    decay = discounts * lam
    for t in range(len(delta) - 1, -1, -1):
        running = delta[t] + decay * keep[t] * running
        result[t] = running
    return result


def shares_of(rollout: Rollout, *, weigh_lanes: bool) -> Tensor | None:
    """How much each action counts in moments of advantages, float [T, B, A], as in the update; None for all alike."""
    weight = rollout.weight if weigh_lanes else None
    if weight is None and rollout.learns is None:
        return None
    flat = rollout.reward.flatten(0, 1)
    learns = None if rollout.learns is None else rollout.learns.flatten(0, 1)
    return shares(flat, None if weight is None else weight.flatten(), learns).reshape_as(rollout.reward)


def combined(
    targets: Targets, costs: Tensor, multipliers: Tensor, *, normalise: bool, share: Tensor | None = None
) -> Targets:
    """Targets whose advantages weigh the reward against the costs: A - sum of l_s C_s, on a scale of 1.

    Stooke et al. divide by 1 + sum of l_s, so that steps stay of one size. Here most costs are rare: such a divisor
    would take away the reward's weight against the entropy bonus wherever no cost is paid. So the sum is brought to
    deviation 1 as a whole; the proportions in it are what the multipliers say.

    Args:
        targets: Of the reward.
        costs: Advantages of the costs [T, B, A, S], mean 0.
        multipliers: l, [S].
        normalise: Bring the reward's advantages to mean 0 and deviation 1 first, and the sum after (the update must
            not do it again); else it is divided by 1 + sum of l_s. Those of the costs keep their scale: divided by its
            deviation, a cost that is hardly ever paid would shout.
        share: How much each action counts in those moments (`shares_of`); None where all count alike.
    """
    weights = multipliers.to(device=costs.device, dtype=costs.dtype)
    penalty = (costs * weights).sum(-1)
    if not normalise:
        return replace(targets, advantages=(targets.advantages - penalty) / (1.0 + weights.sum()))
    mixed = _standardised(targets.advantages, share) - penalty
    return replace(targets, advantages=mixed / _deviation(mixed, share))


def _standardised(values: Tensor, share: Tensor | None) -> Tensor:
    """[T, B, A] less the mean of each agent, over its deviation."""
    flat = values.flatten(0, 1)
    if share is None:
        return (values - flat.mean(0)) / (flat.std(0, correction=0) + 1e-8)
    return standardised(flat, share.flatten(0, 1)).reshape_as(values)


def _deviation(values: Tensor, share: Tensor | None) -> Tensor:
    """[A] of [T, B, A]."""
    flat = values.flatten(0, 1)
    if share is None:
        return flat.std(0, correction=0) + 1e-8
    counted = share.flatten(0, 1)
    return mean((flat - mean(flat, counted)).square(), counted).sqrt() + 1e-8
