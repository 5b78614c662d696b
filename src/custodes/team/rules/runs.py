"""Where processes' lives lie in a rollout and in what is kept of the rollouts before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor

from custodes.bft.votes import BLOCK
from custodes.team.rules.watch import Seen

SHORTEST: Final = 16
"""Samples that the shortest runs are padded to."""


@final
@dataclass(frozen=True, kw_only=True)
class Runs:
    """N runs of one lane each, in H kept steps followed by T new ones; int64 and bool [N]."""

    slot: Tensor
    """Whose."""
    begin: Tensor
    """First step, of H + T."""
    kept: Tensor
    """So many of its steps are old ones, judged as far as they could be."""
    first: Tensor
    """First new step, of T."""
    real: Tensor
    """Steps in all, at least 1."""
    extra: Tensor
    """A verdict blocked the process after the last one: one more sample follows, at which it is gone."""
    complete: Tensor
    """The process's life is over, as far as it is recorded."""
    blocked: Tensor
    """The team's Block ended it."""

    def by_length(self) -> Iterator[tuple[Tensor, int]]:
        """Runs in groups of about equal length, int64 indices, with the samples that each group is padded to.

        There are few sizes, always the same, for which formulas are compiled once.
        """
        size = self.real + self.extra.long()
        bound, below = SHORTEST, 0
        while below < int(size.max()):
            mine = ((size > below) & (size <= bound)).nonzero()[:, 0]
            if len(mine):
                yield mine, bound
            below, bound = bound, bound * 4

    def some(self, which: Tensor) -> Runs:
        """Those of some indices."""
        return Runs(**{name: getattr(self, name)[which] for name in self.__dataclass_fields__})


def runs_of(seen: Seen, begins: Tensor, kept: Tensor, history: int, goes_on: Tensor) -> Runs:
    """Cut a rollout where lanes begin.

    Args:
        seen: T new steps.
        begins: Bool [T, B]: the step is the first of its lane.
        kept: int64 [B]: so many of the latest kept steps belong to the lane that each slot was in.
        history: H.
        goes_on: Bool [M]: places at which a window cuts a life that goes on.
    """
    T = seen.steps
    starts = begins.clone()
    starts[0] = True
    slot, first = starts.T.nonzero(as_tuple=True)
    following = torch.full_like(first, T)
    same = slot[1:] == slot[:-1]
    following[:-1] = torch.where(same, first[1:], T)
    last = following - 1
    carried = torch.where((first == 0) & ~begins[0, slot], kept[slot], 0)
    over = seen.over[last, slot]
    return Runs(
        slot=slot,
        begin=history + first - carried,
        kept=carried,
        first=first,
        real=following - first + carried,
        extra=seen.verdict[last, slot] & over,
        complete=over & ~(goes_on[seen.place[last, slot]] & (seen.decision[last, slot] != BLOCK))
        | seen.verdict[last, slot],
        blocked=over & (seen.decision[last, slot] == BLOCK),
    )
