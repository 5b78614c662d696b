"""Probe environments: tasks with a known optimum, each of which breaks one thing in a learner that is wrong.

The idea of probes is Andy Jones's ("Debugging RL, without the agonizing pain", 2021).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from custodes.env.probes.base import Probe
from custodes.env.probes.choice import Bandit, DelayedReward, EndingAction, Memory, TruncationVsTermination
from custodes.env.probes.critic import Chain, Constant, Noise
from custodes.env.probes.score import mean_return
from custodes.errors import CustodesError

__all__ = [
    "PROBES",
    "Bandit",
    "Chain",
    "Constant",
    "DelayedReward",
    "EndingAction",
    "Memory",
    "Noise",
    "Probe",
    "TruncationVsTermination",
    "make_probe",
    "mean_return",
]

PROBES: Final[dict[str, Callable[..., Probe]]] = {
    "value_only": partial(Constant, steps=1),
    "terminated": partial(Constant, cut=False),
    "truncated": partial(Constant, cut=True),
    "truncation_vs_termination": TruncationVsTermination,
    "delayed_reward": DelayedReward,
    "memory": Memory,
    "ending_action": EndingAction,
    "bandit": Bandit,
    "chain": Chain,
    "noise": Noise,
}
"""Name to constructor (slots, agents, seed, **settings)."""


def make_probe(name: str, slots: int = 64, agents: int = 1, seed: int = 0, **settings: Any) -> Probe:
    """Make a probe by name.

    Args:
        name: A key of `PROBES`.
        slots: B.
        agents: A.
        seed: Seeds its draws.
        **settings: The probe's own, such as `delay` of memory.

    Raises:
        CustodesError: Unknown probe or setting.
    """
    if name not in PROBES:
        raise CustodesError(f"unknown probe '{name}'", fix=f"use one of {', '.join(PROBES)}")
    try:
        return PROBES[name](slots, agents, seed, **settings)
    except TypeError as error:
        raise CustodesError(str(error), where=f"probe {name}", fix="see docs/environments.md") from error
