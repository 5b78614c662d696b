"""Settings of the learner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from custodes.rl._ranges import require


@dataclass(frozen=True, kw_only=True)
class LearnerConfig:
    """Recurrent multi-agent PPO (Schulman et al. 2017; Yu et al. 2022 for the multi-agent form)."""

    algorithm: Literal["ippo", "mappo"] = "ippo"
    """`ippo`: each agent's critic sees what the agent sees. `mappo`: one central critic sees what any agent sees."""
    sharing: Literal["none", "shared"] = "none"
    """`none`: every agent has its own parameters. `shared`: one network, told which agent it plays."""
    core: Literal["lstm", "gru"] = "lstm"
    """Recurrent cell."""
    encoder: int = 64
    """Width of the layer before the cell, up to 16,384; 0 feeds the inputs straight to the cell."""
    hidden: int = 64
    """Width of the cell, 1 to 16,384."""
    rollout: int = 64
    """Steps that each slot plays per iteration, 1 or more."""
    chunk: int = 16
    """Longest sequence that gradients flow through, in steps; 0 is the whole rollout."""
    epochs: int = 4
    """Passes over a rollout per iteration, 1 or more."""
    minibatches: int = 4
    """Gradient steps per pass, 1 or more."""
    gamma: float = 0.0
    """Discount per step, 0 to 1. 0 is right where an action changes nothing that follows (triage)."""
    lam: float = 0.95
    """Lambda of TD(lambda) and GAE, 0 (one-step) to 1 (Monte Carlo)."""
    returns: Literal["mc", "td0", "td-lambda", "gae"] = "gae"
    """How value targets and advantages are formed (rl/returns.py)."""
    learning_rate: float = 2e-3
    """Adam step size at the start, above 0."""
    learning_rate_end: float = 1e-4
    """Adam step size when the decision budget is spent; linear in between."""
    adam_epsilon: float = 1e-5
    """Adam's epsilon, above 0."""
    clip: float = 0.2
    """PPO clip range of the probability ratio, above 0."""
    value_coefficient: float = 1.0
    """Weight of the value loss (normalised units), 0 or more."""
    value_clip: float = 0.0
    """Clip range of the value change in normalised units; 0 turns it off."""
    entropy_coefficient: float = 0.03
    """Weight of the entropy bonus at the start, 0 or more."""
    entropy_coefficient_end: float = 0.001
    """Weight of the entropy bonus from `entropy_decay` of the budget on; linear before."""
    entropy_decay: float = 0.5
    """Share of the decision budget after which the entropy weight is at its end, above 0 to 1."""
    max_grad_norm: float = 0.5
    """Each network's gradient is scaled down to this norm; 0 turns it off."""
    target_kl: float = 0.0
    """Stop the passes of an iteration when the policy moved by more than 1.5 times this (nats); 0 turns it off."""
    normalise_advantage: bool = True
    """Advantages to mean 0 and deviation 1 over the whole batch, per agent, after the returns are formed."""
    weigh_lanes: bool = True
    """Where lanes are drawn otherwise than they were recorded, weigh each step of the policy loss by how often its lane
    is recorded over how often it is drawn; False learns for the lanes as they are drawn."""
    normalise_value: bool = True
    """Critics predict targets in units of their running mean and deviation (PopArt, van Hasselt et al. 2016)."""
    value_norm_decay: float = 0.9
    """Share of the old target statistics kept per iteration, 0 to below 1."""
    warm_start: bool = False
    """Begin with supervised passes over the training labels; named in the run when used."""
    warm_start_by: Literal["labels", "worth"] = "labels"
    """`labels`: contain malicious events, allow benign ones. `worth`: prefer actions by what they would have been
    worth, where the environment tells; right where errors do not cost the same (rl/warmstart.py)."""
    warm_start_temperature: float = 0.1
    """Reward for which a warm start by worth prefers one action e times to another, above 0."""
    warm_start_learning_rate: float = 0.0
    """Adam step size at the start of the warm start, which falls to a tenth; 0 takes `learning_rate`. PPO then goes on
    at its own."""
    warm_start_iterations: int = 20
    """How many rollouts' worth of supervised passes, when `warm_start` is on; their decisions count in the budget."""
    warm_start_solve: int = 0
    """How many more rollouts end a warm start by worth, on which the policies' last layers are then solved for exactly
    (rl/lastlayer.py); 0 for none. Their decisions count, too. Heads then are far larger than gradient steps leave them,
    so that bf16 is refused beside it."""
    autocast: bool = False
    """bf16 autocast in the update (GPU; on a CPU it is slower). Ratios are then held against one pass of the same
    arithmetic over the rollout before the first step."""
    compile: bool = False
    """torch.compile the losses. The recurrent core stays torch's own fused call, which the compiler does not enter."""
    floor_every: int = 1
    """Estimate the value-loss floor every so many iterations, 1 or more."""

    @property
    def warm_rollouts(self) -> int:
        """Rollouts that a warm start takes in all; 0 without one."""
        return self.warm_start_iterations + self.warm_start_solve if self.warm_start else 0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require(self, "hidden", low=1, high=16_384)
        require(self, "encoder", low=0, high=16_384)
        for name in ("rollout", "epochs", "minibatches", "floor_every", "warm_start_iterations"):
            require(self, name, low=1, high=1_000_000)
        for name in ("chunk", "value_coefficient", "value_clip", "entropy_coefficient", "max_grad_norm"):
            require(self, name, low=0)
        require(self, "warm_start_solve", low=0, high=1_000_000)
        for name in ("entropy_coefficient_end", "target_kl", "learning_rate_end", "warm_start_learning_rate"):
            require(self, name, low=0)
        for name in ("gamma", "lam"):
            require(self, name, low=0, high=1)
        require(self, "value_norm_decay", low=0, below=1)
        require(self, "entropy_decay", above=0, high=1)
        for name in ("learning_rate", "adam_epsilon", "clip", "warm_start_temperature"):
            require(self, name, above=0)
        if self.warm_start_solve and self.warm_start_by != "worth":
            raise ValueError("warm_start_solve is above 0: that needs warm_start_by=worth")
        if self.warm_start and self.warm_start_solve and self.autocast:
            raise ValueError("autocast is on: heads that warm_start_solve leaves are too large for it; switch one off")
