"""Collecting a rollout: every slot plays T steps, and all that the update needs is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from custodes.interface import Observation, Step, VectorEnv
from custodes.rl.acting import Acted, Actor
from custodes.rl.networks import Policy, PolicyState
from custodes.rl.normalise import ValueNorm
from custodes.rl.sequences import chunk_starts


class Acting(Protocol):
    """What collection asks of a policy that stands still: `Actor`, or another one in its place."""

    def step(self, observation: Observation, state: PolicyState) -> Acted:
        """Logits, values and the next state for one observation of every slot."""
        ...


MakeActor = Callable[[Policy], Acting]
Draw = Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """T steps of B slots and A agents."""

    observation: Tensor
    """Float [A, T, B, D]: agent first, so that each network reads contiguous memory."""
    output: Tensor
    """Float [A, T, B, H]: what each agent's cell gave (the central critic's, repeated, with MAPPO); for the floor."""
    central: Tensor | None
    """Float [T, B, S] where a central critic needs it."""
    mask: Tensor | None
    """Bool [T, B, A, actions]."""
    action: Tensor
    """int64 [T, B, A]."""
    log_probability: Tensor
    """Float [T, B, A], of the action, when it was chosen."""
    value: Tensor
    """Float [T, B, A], units of reward."""
    next_value: Tensor
    """Float [T, B, A], of the true successor, units of reward (rl/returns.py); zeros under discount 0."""
    reward: Tensor
    """Float [T, B, A]."""
    terminated: Tensor
    """Bool [T, B]."""
    done: Tensor
    """Bool [T, B]: terminated or truncated."""
    begins: Tensor
    """Bool [T, B]: the step is the first of a lane."""
    starts_actor: Tensor
    """Float [C, S, A, B, H]: state before each chunk."""
    starts_critic: Tensor
    """Float [C, S, 0 or 1, B, H]."""
    lane: Tensor
    """int64 [T, B]: the recorded lane of each step, or a number for each run where the environment names none."""
    decision: Tensor
    """int64 [T, B]."""
    label: Tensor
    """int64 [T, B]."""
    team_reward: Tensor
    """Float [T, B]."""
    weight: Tensor | None = None
    """Float [T, B]: importance of each step's lane (`Step.weight`); None where all weigh 1."""
    worth: Tensor | None = None
    """Float [T, B, actions]: `Step.worth`; None where the environment does not tell."""
    learns: Tensor | None = None
    """Bool [T, B, A]: which actions teach their agent; None where all do (`Step.learns`)."""


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where the learner stands in the environment between two rollouts."""

    observation: Observation
    """What to act on next."""
    state: PolicyState
    """Recurrent state before it, zero where a lane begins."""
    begins: Tensor
    """Bool [B]: the next step is the first of a lane."""


def begin(policy: Policy, env: VectorEnv) -> Position:
    """Reset the environment: every slot at the start of a lane."""
    observation = env.reset()
    begins = torch.ones(env.slots, dtype=torch.bool, device=observation.agents.device)
    return Position(observation=observation, state=policy.initial_state(env.slots), begins=begins)


def sample(logits: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Actions [B, A] drawn from [B, A, actions] logits and their log-probabilities (Gumbel-max)."""
    log_all = logits.log_softmax(-1)
    # A Gumbel draw is -log of an exponential one; the floor keeps a draw of 0 from lifting a masked action.
    exponential = torch.empty_like(log_all).exponential_(generator=generator).clamp_(min=1e-30)
    action = (log_all - exponential.log_()).argmax(-1)
    return action, log_all.gather(-1, action[..., None])[..., 0]


@torch.no_grad()
def collect(
    policy: Policy,
    env: VectorEnv,
    position: Position,
    norm: ValueNorm,
    generator: torch.Generator,
    *,
    steps: int,
    chunk: int,
    bootstrap: bool,
    actor: MakeActor = Actor,
    draw: Draw = sample,
) -> tuple[Rollout, Position]:
    """Play `steps` steps.

    Args:
        policy: The networks; they stand still.
        env: Stepped in place.
        position: Where the last rollout ended.
        norm: Turns the critics' outputs into units of reward.
        generator: Draws the actions.
        steps: T.
        chunk: States are stored every so many steps (0: only at the start).
        bootstrap: Value the true successors; false under discount 0, where nothing reads them.
        actor: Makes of the policy what acts.
        draw: Draws actions [B, A] and their log-probabilities from logits [B, A, actions].
    """
    acting = actor(policy)
    recorder = _Recorder(acting, norm, bootstrap, central=policy.critic is not None)
    stored = chunk_starts(steps, chunk)
    starts: list[PolicyState] = []
    for t in range(steps):
        if t in stored:
            starts.append(position.state)
        acted = acting.step(position.observation, position.state)
        action, log_probability = draw(acted.logits, generator)
        step = env.step(action)
        recorder.record(position, acted, action, log_probability, step)
        done = step.terminated | step.truncated
        state = acted.state.reset(done) if bool(done.any()) else acted.state
        position = Position(observation=step.observation, state=state, begins=done)
    return recorder.finish(position, starts), position


class _Recorder:
    """Lists of what each step gave, stacked at the end."""

    def __init__(self, actor: Acting, norm: ValueNorm, bootstrap: bool, *, central: bool) -> None:
        self.actor, self.norm, self.bootstrap, self.central = actor, norm, bootstrap, central
        self.positions: list[Position] = []
        self.rows: list[tuple[Tensor, Tensor, Tensor, Step]] = []
        self.successors: list[tuple[int, Tensor, Tensor]] = []
        self.outputs: list[Tensor] = []

    def record(self, position: Position, acted: Acted, action: Tensor, log_probability: Tensor, step: Step) -> None:
        """Keep one step; value the successors of lanes that were truncated in it with the state after the step."""
        after = acted.state
        if self.bootstrap and bool(step.truncated.any()):
            where = step.truncated.nonzero()[:, 0]
            following = self.actor.step(_select(step.successor, where), after.select(where))
            self.successors.append((len(self.rows), where, self.norm.denormalise(following.value)))
        critic = after.critic[0].expand_as(after.actor[0]) if self.central else after.actor[0]
        self.outputs.append(critic)
        self.positions.append(position)
        self.rows.append((action, log_probability, acted.value, step))

    def finish(self, position: Position, starts: list[PolicyState]) -> Rollout:
        """Stack; `position` is where the rollout was cut."""
        actions, log_probabilities, values, steps = (list(x) for x in zip(*self.rows, strict=True))
        terminated = torch.stack([s.terminated for s in steps])
        truncated = torch.stack([s.truncated for s in steps])
        begins = torch.stack([p.begins for p in self.positions])
        T, B = begins.shape
        value = self.norm.denormalise(torch.stack(values))
        observations = [p.observation for p in self.positions]
        masks = [o.mask for o in observations if o.mask is not None]
        lanes = [s.lane for s in steps if s.lane is not None]
        weights = [s.weight for s in steps if s.weight is not None]
        worths = [s.worth for s in steps if s.worth is not None]
        learns = [s.learns for s in steps if s.learns is not None]
        run = begins.long().cumsum(0) * B + torch.arange(B, device=begins.device)
        return Rollout(
            observation=torch.stack([o.agents.transpose(0, 1) for o in observations], dim=1),
            output=torch.stack(self.outputs, dim=1),
            central=torch.stack([o.central for o in observations]) if self.central else None,
            mask=torch.stack(masks) if len(masks) == T else None,
            action=torch.stack(actions),
            log_probability=torch.stack(log_probabilities),
            value=value,
            next_value=self._next_values(value, position),
            reward=torch.stack([s.reward for s in steps]),
            terminated=terminated,
            done=terminated | truncated,
            begins=begins,
            starts_actor=torch.stack([s.actor for s in starts]),
            starts_critic=torch.stack([s.critic for s in starts]),
            lane=torch.stack(lanes) if len(lanes) == T else run,
            decision=torch.stack([s.decision for s in steps]),
            label=torch.stack([s.label for s in steps]),
            team_reward=torch.stack([s.team_reward for s in steps]),
            weight=torch.stack(weights) if len(weights) == T else None,
            worth=torch.stack(worths) if len(worths) == T else None,
            learns=torch.stack(learns) if len(learns) == T else None,
        )

    def _next_values(self, value: Tensor, position: Position) -> Tensor:
        result = torch.zeros_like(value)
        if not self.bootstrap:
            return result
        result[:-1] = value[1:]
        result[-1] = self.norm.denormalise(self.actor.step(position.observation, position.state).value)
        for t, where, successor in self.successors:
            result[t, where] = successor
        return result


def _select(observation: Observation, where: Tensor) -> Observation:
    mask = observation.mask
    return Observation(
        agents=observation.agents[where],
        central=observation.central[where],
        mask=None if mask is None else mask[where],
    )
