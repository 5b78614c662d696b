"""Rules in training: measures them on every rollout, and weighs their costs against the reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, final

import numpy as np
import torch
from torch import Tensor

from custodes.rl.config import LearnerConfig
from custodes.rl.costs import CostCritics, combined, discount_of, shares_of
from custodes.rl.multipliers import Gains, Multipliers
from custodes.rl.networks import Policy
from custodes.rl.returns import Targets
from custodes.rl.rollout import Rollout
from custodes.rl.state import LearnerState
from custodes.team.rules.book import RuleBook
from custodes.team.rules.config import RulesConfig
from custodes.team.rules.ground import Ground
from custodes.team.rules.ledger import Ledger, Settled
from custodes.team.rules.watch import Watch

_SEED: Final = 0x52554C45
"""Keeps the critics' random numbers apart from the learner's under one seed ("RULE")."""


@final
class RuleTeacher:
    """Holds a team to rules while it learns; a `custodes.rl.learner.Teacher`.

    Args:
        watch: The environment that the learner steps.
        ground: Its lanes.
        book: S rules.
        policy: The team.
        config: How.
        trained: Which rules may cost something; the others are measured only.
        seed: Of the run.
    """

    def __init__(
        self,
        watch: Watch,
        ground: Ground,
        book: RuleBook,
        policy: Policy,
        config: RulesConfig,
        trained: Sequence[bool],
        seed: int,
    ) -> None:
        self.watch, self.book, self.config = watch, book, config
        self.trained = tuple(trained)
        env = watch.env
        device = env.standing()[0].device
        self._ledger = Ledger(
            ground,
            book,
            slots=env.slots,
            agents=env.agents,
            individual=env.config.credit != "team" and env.agents > 1,
            longest=int(env.played.length.max()),
        )
        gains = Gains(
            proportional=config.proportional,
            integral=config.integral,
            derivative=config.derivative,
            most=config.most,
            smoothing=config.smoothing,
            prior=config.prior,
        )
        self._weighs = config.method == "lagrangian"
        aims = [rule.allowed * config.tighten for rule in book.rules]
        self._multipliers = Multipliers(aims, [on and self._weighs for on in self.trained], gains)
        self._critics: CostCritics | None = None
        if self._weighs:
            self._critics = CostCritics(
                policy,
                inputs=env.inputs,
                context=self._ledger.context,
                discounts=tuple(discount_of(rule.delay) for rule in book.rules),
                lam=config.lam,
                hidden=config.critic_hidden,
                learning_rate=config.critic_learning_rate,
                epochs=config.critic_epochs,
                seed=int(np.random.SeedSequence([seed, _SEED]).generate_state(1, np.uint64)[0] >> 1),
                device=device,
            )
        self._settled: Settled | None = None
        self._losses: list[float | None] = [None] * len(book.rules)

    def pay(self, rollout: Rollout) -> Rollout:
        """Judge what was played; with `penalty`, take the price of each violation off the reward."""
        seen = self.watch.take()
        assert seen is not None, "the learner steps the watched environment"
        before = seen.steps - len(rollout.decision)
        if before:
            # What was played before the rollout (a warm start) is only remembered.
            self._ledger.settle(seen.first(before), judged=False)
        self._settled = self._ledger.settle(seen.after(before))
        assert self._settled is not None
        tallies = self._settled.tallies
        self._multipliers.update([each.weight for each in tallies], [each.violated for each in tallies])
        if self.config.method != "penalty":
            return rollout
        price = self.config.penalty * torch.tensor(self.trained, dtype=torch.float32, device=rollout.reward.device)
        return replace(rollout, reward=rollout.reward - (self._settled.cost * price).sum(-1))

    def teach(
        self, state: LearnerState, rollout: Rollout, learnt: Targets, config: LearnerConfig
    ) -> tuple[Targets, LearnerConfig]:
        """Advantages with the costs weighed in; the reward's value targets are left as they are."""
        if self._critics is None:
            return learnt, config
        assert self._settled is not None
        cost, context = self._settled.cost, self._settled.context
        share = shares_of(rollout, weigh_lanes=config.weigh_lanes)
        lesson = self._critics.learn(state.policy, rollout, state.position, cost, context, share)
        self._losses = lesson.value_loss.tolist()
        normalise, multipliers = config.normalise_advantage, self._multipliers.value
        mixed = combined(learnt, lesson.advantages, multipliers, normalise=normalise, share=share)
        return mixed, replace(config, normalise_advantage=False)

    def metrics(self) -> dict[str, Any]:
        """`stl_satisfied` and `specs` of the last rollout's line (docs/run-folder.md)."""
        assert self._settled is not None
        specs: dict[str, Any] = {}
        rates, values = self._multipliers.rate.tolist(), self._multipliers.value.tolist()
        for index, (rule, tally) in enumerate(zip(self.book.rules, self._settled.tallies, strict=True)):
            share = 1.0 - tally.violated / tally.weight if tally.weight > 0 else None
            specs[rule.name] = {
                "triggered": tally.windows,
                "satisfied": share,
                "robustness": tally.robustness,
                "cost": None if np.isnan(rates[index]) else rates[index],
                "target": rule.allowed * self.config.tighten,
                "multiplier": values[index] if self._weighs else None,
                "trained": self.trained[index] and self.config.method != "watch",
                "value_loss": self._losses[index],
            }
        shares = [each["satisfied"] for each in specs.values() if each["satisfied"] is not None]
        return {"stl_satisfied": sum(shares) / len(shares) if shares else None, "specs": specs}

    def state(self) -> dict[str, Tensor]:
        """All that the next iteration depends on, as copies on the CPU; call it between two iterations."""
        self._remember()
        made = {f"ledger.{name}": value for name, value in self._ledger.state().items()}
        made |= {f"multipliers.{name}": value for name, value in self._multipliers.state().items()}
        if self._critics is not None:
            made |= {f"critics.{name}": value for name, value in self._critics.state().items()}
        return made

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue exactly from `state()`.

        Raises:
            CustodesError: It is of other rules.
        """
        self.watch.take()
        parts: dict[str, dict[str, Tensor]] = {}
        for name, value in state.items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = value
        self._ledger.load_state(parts.get("ledger", {}))
        self._multipliers.load_state(parts.get("multipliers", {}))
        if self._critics is not None:
            self._critics.load_state(parts.get("critics", {}))

    def _remember(self) -> None:
        """Take in steps that no rollout is going to be made of (a warm start)."""
        seen = self.watch.take()
        if seen is not None:
            self._ledger.settle(seen, judged=False)
