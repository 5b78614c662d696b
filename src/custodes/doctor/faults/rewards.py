"""Faults of rewards and of how episodes end."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from custodes.doctor.faults.fault import Fault, Wrapped, in_env
from custodes.interface import Step, VectorEnv
from custodes.team.seams import Seams
from custodes.team.workload import Workload

_WINDOWED: Final = ("rl.gamma=0.9", "env.window=16")
"""Episodes that are cut often, and a discount under which it matters."""


class _Signs(Wrapped):
    """Rewards clipped to -1, 0 and 1."""

    def after(self, step: Step) -> Step:
        return replace(step, reward=step.reward.sign(), team_reward=step.team_reward.sign())


class _Rounded(Wrapped):
    """Rewards in thousands, rounded to whole numbers on the way."""

    def after(self, step: Step) -> Step:
        return replace(
            step, reward=(step.reward / 1000.0).trunc() + 0.0, team_reward=(step.team_reward / 1000.0).trunc() + 0.0
        )


class _Late(Wrapped):
    """The reward of a step comes with the next one."""

    def __init__(self, env: VectorEnv) -> None:
        super().__init__(env)
        self._before: tuple[Tensor, Tensor] | None = None

    def after(self, step: Step) -> Step:
        now = (step.reward, step.team_reward)
        reward, team = self._before or tuple(torch.zeros_like(x) for x in now)
        self._before = now
        return replace(step, reward=reward, team_reward=team)


class _EndsForCuts(Wrapped):
    """An episode that was cut counts as ended."""

    def after(self, step: Step) -> Step:
        over = step.terminated | step.truncated
        return replace(step, terminated=over, truncated=torch.zeros_like(over))


class _CutsForEnds(Wrapped):
    """An episode that ended counts as cut."""

    def after(self, step: Step) -> Step:
        over = step.terminated | step.truncated
        return replace(step, truncated=over, terminated=torch.zeros_like(over))


class _Zero(Wrapped):
    """After 100 steps the reward divides by how many threats there were, and there were none."""

    def __init__(self, env: VectorEnv) -> None:
        super().__init__(env)
        self._steps = 0

    def after(self, step: Step) -> Step:
        self._steps += 1
        threats = (step.label == 1).sum()
        late = self._steps > 100
        return replace(step, reward=step.reward * (threats / threats)) if late else step


def _shuffled(workload: Workload) -> Workload:
    """The training rows in random order, as a loader that shuffles leaves them."""
    rows = torch.as_tensor(workload.training_rows())
    order = torch.arange(len(workload.table.labels))
    order[rows] = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]
    table = workload.table
    if workload.env.task == "response":
        return workload  # What acting comes to hangs on the recording itself; the discount alone is wrong there.
    return replace(
        workload,
        table=replace(
            table,
            features=table.features[order],
            labels=table.labels[order],
            row_mask=table.row_mask[:, order],
        ),
    )


FAULTS: Final = (
    Fault(
        name="shuffled-rows",
        finds="return-unpredictable",
        what="rows are shuffled, and rewards are discounted by 0.99 over them",
        settings=("rl.gamma=0.99", "rl.lam=1.0"),
        seams=lambda: Seams(workload=_shuffled),
    ),
    Fault(
        name="saturated-reward",
        finds="reward-saturated",
        what="rewards are clipped to their sign",
        seams=in_env(_Signs),
    ),
    Fault(
        name="rounded-reward",
        finds="reward-constant",
        what="rewards are rounded to thousands",
        seams=in_env(_Rounded),
    ),
    Fault(
        name="late-reward",
        finds="reward-misaligned",
        what="the reward of a step comes with the next one",
        seams=in_env(_Late),
    ),
    Fault(
        name="truncated-as-terminated",
        finds="truncation-as-termination",
        what="episodes that were cut are reported as ended",
        settings=_WINDOWED,
        seams=in_env(_EndsForCuts),
    ),
    Fault(
        name="terminated-as-truncated",
        finds="termination-as-truncation",
        what="episodes that ended are reported as cut",
        settings=_WINDOWED,
        seams=in_env(_CutsForEnds),
    ),
    Fault(
        name="nan-reward",
        finds="non-finite",
        what="after 100 steps the reward divides by zero where a step holds no threat",
        seams=in_env(_Zero),
    ),
    Fault(
        name="costly-false-alarms",
        finds="one-action-optimal",
        what="a false alarm costs ten thousand times what a threat does",
        settings=(
            "env.fp=-100000",
            "response.false_block=100000",
            "response.false_quarantine=100000",
            "response.alert=100000",
        ),
    ),
)
