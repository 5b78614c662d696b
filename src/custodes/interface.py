"""What the learner asks of an environment: B slots played in parallel, tensors in and out.

`terminated` and `truncated` are apart everywhere (Gymnasium's meaning). A slot whose lane ended takes its next lane in
the same step: `Step.observation` is then the first observation of the new lane and `Step.successor` the true next
observation of the old one, which is what a truncated return is bootstrapped from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What the agents see before they act. B slots, A agents, D inputs, S inputs of the central critic."""

    agents: Tensor
    """float32 [B, A, D]: each agent's own view; inputs outside its view are zero."""
    central: Tensor
    """float32 [B, S]: everything that any agent sees, for a central critic (MAPPO); never holds a label."""
    mask: Tensor | None = None
    """bool [B, A, actions]: True where an action is allowed; None when every action always is."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one step returns. Every field is indexed by slot first."""

    observation: Observation
    """What to act on next; the first observation of the next lane where a lane ended."""
    successor: Observation
    """The true next observation of the lane that was acted in; equals `observation` where no lane ended."""
    reward: Tensor
    """float32 [B, A]: each agent's reward."""
    terminated: Tensor
    """bool [B]: the lane is over; nothing follows that an action could have changed."""
    truncated: Tensor
    """bool [B]: the lane was cut by a window, a limit or the end of the recording; bootstrap from `successor`."""
    decision: Tensor
    """int64 [B]: what the vote rule made of the votes."""
    label: Tensor
    """int64 [B]: 1 malicious, 0 benign, anything else is left out of the counts."""
    team_reward: Tensor
    """float32 [B]: the reward of the team's decision (equals the mean of `reward` where there is no vote)."""
    lane: Tensor | None = None
    """int64 [B]: which recorded lane was acted in, so that two slots that play the same one are known to; None where
    every run through the environment is new."""
    weight: Tensor | None = None
    """float32 [B]: importance of the lane that was acted in, how often it is recorded over how often it is drawn; None
    where lanes are drawn as they were recorded (all weigh 1)."""
    worth: Tensor | None = None
    """float32 [B, actions]: what each action would have been worth as the decision, 0 where it is not allowed; None
    where the environment does not know."""
    learns: Tensor | None = None
    """bool [B, A]: whose action was its own, and teaches it; None where all were. A liar's vote was replaced."""


class VectorEnv(Protocol):
    """B slots that step in lockstep. Implementations hold no hidden randomness: `state` is all there is."""

    @property
    def slots(self) -> int:
        """B."""
        ...

    @property
    def agents(self) -> int:
        """A."""
        ...

    @property
    def inputs(self) -> int:
        """D: width of each agent's observation."""
        ...

    @property
    def central_inputs(self) -> int:
        """S: width of the central critic's observation."""
        ...

    @property
    def actions(self) -> int:
        """How many actions each agent chooses from."""
        ...

    def reset(self) -> Observation:
        """Start every slot on a lane, as seeded at construction."""
        ...

    def step(self, actions: Tensor) -> Step:
        """Play int64 [B, A] actions."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on (cursors, queues, generator state), as fresh copies."""
        ...

    def load_state(self, state: dict[str, Tensor]) -> Observation:
        """Continue exactly from `state()`; returns the observation that was current then."""
        ...
