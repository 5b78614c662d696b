"""The original's defects, each a switch of its own, so that a fix repairs exactly one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from custodes.errors import CustodesError


@dataclass(frozen=True, kw_only=True)
class Defect:
    """One thing that is wrong with the original, under the name of the finding that says so."""

    was: str
    """What the original does."""
    fix: str
    """What its repair does instead."""


DEFECTS: Mapping[str, Defect] = MappingProxyType(
    {
        "ratio-broadcast": Defect(
            was="old log-probabilities and advantages are (N, 1), new log-probabilities (N,): the ratio is N x N",
            fix="all three are (N,)",
        ),
        "start-state-mismatch": Defect(
            was="collection carries the recurrent state on, the update restarts it at zero for each record",
            fix="the update plays the rollout's own sequences from their stored states",
        ),
        "dropout-mismatch": Defect(
            was="dropout is on when actions are drawn and when their probabilities are computed again",
            fix="no dropout in collection and update",
        ),
        "return-unpredictable": Defect(
            was="discount 0.99 over shuffled rows, where no action changes a later reward",
            fix="discount 0",
        ),
        "spec-always-violated": Defect(
            was="a detection rate of 0.95 is asked of single records and its violation is taken off every reward",
            fix="no rules, and no penalty",
        ),
        "input-ceiling": Defect(
            was="seven columns of one record",
            fix="the same columns of the eight records before it too, in recorded order",
        ),
        "split-leakage": Defect(
            was="stratified random rows of an ordered recording: the neighbours of held-out records are trained on",
            fix="blocks of 1,000 records, dealt whole",
        ),
        "consensus-f0": Defect(
            was="three agents: f = 0, a quorum of one, the first agent's vote is the decision",
            fix="four agents, f = 1, the vote rule of custodes",
        ),
        "label-is-a-rule": Defect(
            was="the labels are a list of event types",
            fix="as many labels drawn at random: the recording holds no attack, so no labels of one can be had",
        ),
        "metric-window": Defect(
            was="counters start again at steps 1,000 and 2,000: what is logged covers the last 48 of 2,048 steps",
            fix="counters cover the whole iteration",
        ),
    }
)
"""By the name of the finding, from the update outwards; docs/doctor-origin.md lists the same."""


@dataclass(frozen=True, kw_only=True)
class Repairs:
    """Which defects are repaired."""

    names: frozenset[str] = frozenset()
    """Names of `DEFECTS`; empty is the original as published."""

    def __post_init__(self) -> None:
        """Refuse an unknown name.

        Raises:
            CustodesError: No such defect.
        """
        unknown = sorted(self.names - set(DEFECTS))
        if unknown:
            raise CustodesError(
                f"no defect {', '.join(map(repr, unknown))}", where="--fix", fix=f"choose one of {', '.join(DEFECTS)}"
            )

    @staticmethod
    def of(names: Iterable[str]) -> Repairs:
        """Repairs by name."""
        return Repairs(names=frozenset(names))

    def broken(self, name: str) -> bool:
        """Whether a defect is still in."""
        assert name in DEFECTS, name
        return name not in self.names
