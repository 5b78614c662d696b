"""The diagnostic record of one iteration: what the metrics do not say, for a small part of what the iteration costs.

Whatever is expensive is looked at in a part of the steps, or only where a cheap number is off. Nothing here changes the
learner: it draws nothing, and its own actor is thrown away.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from custodes.bft.votes import QUARANTINE, severity_decision
from custodes.doctor import lane_ends, measure
from custodes.doctor.continuity import Continuity
from custodes.doctor.schema import OCCASIONAL
from custodes.env.lanes import Lanes
from custodes.rl.config import LearnerConfig
from custodes.rl.learner import Lesson
from custodes.rl.mechanics import Mechanics
from custodes.rl.returns import targets
from custodes.rl.rollout import Rollout
from custodes.rl.state import LearnerState

ROWS: Final = 512
"""About how many decisions the costlier numbers are taken over."""
RANKED: Final = 1024
"""About how many decisions advantages are ranked over."""
OFF: Final = 1e-4
"""Mean |ratio - 1| from which the record looks closer; rounding stays below 1e-6."""
FIRST: Final = 10
"""The first so many iterations are looked at whole."""
EVERY: Final = 5
"""Afterwards every so many; what is cheap or must not miss an iteration is looked at in each."""
RETURNS: Final = 3
"""In the first so many, and then every second whole look, value targets are held against their definition."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is known about the game apart from the environment that plays it."""

    f: int
    """Liars that the vote rule stands."""
    lanes: Lanes | None = None
    """What is played; None where the environment has no lanes."""
    judged: NDArray[np.bool_] | None = None
    """bool [L]: lanes whose end nothing but the recording and the team decides; None for all."""
    reward_table: Tensor | None = None
    """float32 [3, K]: what an action earns on benign, malicious and unlabelled events; None without a table."""
    pays_decision: bool = False
    """Whether every agent is paid for the decision, not for its own vote."""


class Recorder:
    """Looks on while a learner trains.

    Args:
        learner: The learner; only read.
        config: Its settings.
        scene: The game.
        mechanics: What its iterations are made of; None for the usual ones.
    """

    def __init__(
        self, learner: LearnerState, config: LearnerConfig, scene: Scene, mechanics: Mechanics | None = None
    ) -> None:
        self._learner, self._config, self._scene = learner, config, scene
        self._mechanics = mechanics or Mechanics()
        self._ends = None if scene.lanes is None else lane_ends.LaneEnds(scene.lanes, scene.judged)
        self._inputs = measure.InputReference()
        self._continuity = Continuity(learner)
        self._seconds = 0.0
        self._line: dict[str, Any] = {}

    def before(self) -> None:
        """An iteration is about to begin."""
        begin = time.perf_counter()
        self._begins = self._learner.position.begins
        self._continuity.before()
        self._seconds = time.perf_counter() - begin

    @torch.no_grad()
    def observe(self, lesson: Lesson) -> None:
        """An iteration is over; `line` then holds its record."""
        begin = time.perf_counter()
        continuity = self._continuity.after(lesson.report.steps)
        self._line = {
            "iteration": self._learner.iteration,
            **continuity,
            **self._start(lesson),
            **self._whole(lesson),
            "clipped_steps": lesson.report.clipped_steps,
            "threats": int((lesson.rollout.label == 1).sum()),
            "unlabelled": int(((lesson.rollout.label != 0) & (lesson.rollout.label != 1)).sum()),
            "non_finite": measure.first_non_finite(lesson, self._learner.policy),
        }
        self._line["record_seconds"] = self._seconds + time.perf_counter() - begin

    @property
    def line(self) -> dict[str, Any]:
        """The record of the last iteration (docs/run-folder.md), JSON-able but for numbers that are none."""
        return self._line

    def _whole(self, lesson: Lesson) -> dict[str, Any]:
        """What is looked at now and then; null in between."""
        if self._learner.iteration > FIRST and self._learner.iteration % EVERY:
            if self._ends is not None:
                self._ends.forget()
            return dict.fromkeys(OCCASIONAL)
        return {
            **self._returns(lesson),
            **self._votes(lesson.rollout),
            **self._rewards(lesson),
            **self._inputs.measure(_some(lesson.rollout.observation, dim=1)),
            **measure.gradients(self._learner.policy),
        }

    def _start(self, lesson: Lesson) -> dict[str, Any]:
        """The first minibatch before the first step: is the update's policy the one that acted?"""
        start, rollout = lesson.report.start, lesson.rollout
        assert start is not None
        found: dict[str, Any] = {
            "ratio_elements": start.log_ratio.numel() / start.log_probability.numel(),
            "vote_surprise": measure.vote_surprise(start.log_probability, start.entropy),
        }
        whole = start.log_ratio.shape == start.log_probability.shape
        error = (start.log_ratio.exp() - 1.0).abs() if whole else None
        found["ratio_error_per_agent"] = None if error is None else error.mean(0).tolist()
        names = ("ratio_error_reset", "ratio_error_chunk", "ratio_error_inside", "repeat_error")
        if error is None or not lesson.report.ratio_error > OFF:
            return found | dict.fromkeys(names)
        begins = torch.cat((self._begins[None], rollout.done[:-1])).flatten()[start.steps]
        chunk = self._config.chunk or rollout.begins.shape[0]
        first = (start.steps // rollout.begins.shape[1]) % chunk == 0
        parts = (begins, first & ~begins, ~first & ~begins)
        spread = [measure.median(error[where].mean(-1)) for where in parts]
        return found | dict(zip(names, [*spread, measure.repeat_error(self._learner, self._mechanics)], strict=True))

    def _returns(self, lesson: Lesson) -> dict[str, Any]:
        """Are the value targets the returns of the rewards, and did lanes end as they were recorded to?"""
        rollout, config = lesson.rollout, self._config
        error = spread = None
        if self._learner.iteration <= RETURNS or self._learner.iteration % (2 * EVERY) == 0:
            right = targets(
                config.returns,
                reward=rollout.reward,
                value=rollout.value,
                next_value=rollout.next_value,
                terminated=rollout.terminated[..., None],
                done=rollout.done[..., None],
                gamma=config.gamma,
                lam=config.lam,
            )
            scale = float(right.returns.std(correction=0)) + 1e-8
            error = float((lesson.targets.returns - right.returns).abs().mean()) / scale
            spread = float((lesson.targets.returns - rollout.value).std(correction=0))
        ends: dict[str, Any] = dict.fromkeys(lane_ends.NAMES)
        if self._ends is not None:
            begins = torch.cat((self._begins[None], rollout.done[:-1]))
            ends = self._ends.count(rollout, begins)
        return {"target_error": error, "target_spread": spread, **ends}

    def _votes(self, rollout: Rollout) -> dict[str, Any]:
        """Do votes make the decisions, whose votes change one, and what would the most probable votes decide?"""
        f, votes, decision = self._scene.f, _some(rollout.action), _some(rollout.decision)
        flat, decided = votes.flatten(0, 1), decision.flatten()
        if rollout.learns is not None:
            # A liar's vote is not the one that its policy drew; with all lanes under liars there is nothing to hold.
            own = _some(rollout.learns).flatten(0, 1).all(-1)
            flat, decided = flat[own], decided[own]
        agents = flat.shape[1]
        made = _decide(flat, f)
        off = float((made != decided).float().mean()) if len(made) else None
        without = []
        for agent in range(agents):
            kept = flat.clone()
            kept[:, agent] = 0
            without.append(_decide(kept, f))
        position = self._learner.position
        logits = self._mechanics.actor(self._learner.policy).step(position.observation, position.state).logits
        greedy = logits.argmax(-1)
        return {
            "decision_mismatch": off,
            "decision_mismatch_without": [float((w != decided).float().mean()) for w in without] if off else None,
            "pivotal": [float((w != made).float().mean()) for w in without] if len(made) else None,
            "contained": float((rollout.decision >= QUARANTINE).float().mean()),
            "greedy_contained": float((_decide(greedy, f) >= QUARANTINE).float().mean()),
            "greedy_shares": measure.shares(greedy, logits.shape[-1]),
        }

    def _rewards(self, lesson: Lesson) -> dict[str, Any]:
        """Is the reward what the table says for the action beside it, and do advantages depend on actions?"""
        rollout, scene = lesson.rollout, self._scene
        found: dict[str, Any] = measure.reward_shape(rollout)
        lag = None
        if scene.reward_table is not None:
            found |= measure.reward_against_table(rollout, scene.reward_table, decision=scene.pays_decision)
        else:
            found |= {"reward_mismatch": None, "reward_lagged": None}
            after, before = (_some(x, rows=RANKED) for x in (lesson.targets.advantages[1:], rollout.action[:-1]))
            follows = ~rollout.done[:-1]
            if rollout.learns is not None:
                follows = follows.unsqueeze(-1) & rollout.learns[1:] & rollout.learns[:-1]
            lag, _ = measure.action_signal(after, before, _some(follows, rows=RANKED))
        advantage, action = (_some(x, rows=RANKED) for x in (lesson.targets.advantages, rollout.action))
        # A liar's advantage is of what it said, not of the action that its policy drew.
        learns = None if rollout.learns is None else _some(rollout.learns, rows=RANKED)
        signal, share = measure.action_signal(advantage, action, learns)
        return {**found, "advantage_signal": signal, "action_share": share, "advantage_signal_lagged": lag}


def _decide(votes: Tensor, f: int) -> Tensor:
    """Decisions [n] of votes [n, A]; one agent's vote is the decision."""
    decisions: Tensor = votes[:, 0] if votes.shape[1] == 1 else severity_decision(votes, f)
    return decisions


def _some(values: Tensor, dim: int = 0, rows: int = ROWS) -> Tensor:
    """Every so many steps of a rollout, such that about `rows` decisions are left; time, slots at `dim`, `dim` + 1."""
    steps, slots = values.shape[dim : dim + 2]
    every = max(1, math.floor(steps * slots / rows))
    return values[(slice(None),) * dim + (slice(None, None, min(every, steps)),)]
