"""Which programs there are, what each needs, and where it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One program."""

    module: str
    """Module of its adapter."""
    factory: str
    """Name in that module; called with the workload, the seed and `settings`."""
    settings: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    """Keyword arguments of the factory."""
    imports: tuple[str, ...]
    """Modules that must be there; the first missing one is the reason why a program is skipped."""
    packages: tuple[str, ...]
    """Distributions whose versions are reported."""
    environment: str = ""
    """Name of the virtual environment that `--install` makes for it; empty: it runs where custodes does."""


PROGRAMS: Mapping[str, Entry] = MappingProxyType(
    {
        "custodes": Entry(
            module="benchmarks.train_peers.custodes_adapter",
            factory="CustodesLanes",
            settings={"chunk": 16},
            imports=("custodes.rl.learner",),
            packages=("custodes", "torch"),
        ),
        "custodes-whole": Entry(
            module="benchmarks.train_peers.custodes_adapter",
            factory="CustodesLanes",
            settings={"chunk": 0},
            imports=("custodes.rl.learner",),
            packages=("custodes", "torch"),
        ),
        "custodes-triage": Entry(
            module="benchmarks.train_peers.custodes_adapter",
            factory="CustodesTriage",
            settings={"chunk": 16},
            imports=("custodes.rl.learner", "custodes.env.triage"),
            packages=("custodes", "torch"),
        ),
        "sb3-recurrent": Entry(
            module="benchmarks.train_peers.sb3_adapter",
            factory="RecurrentPeer",
            settings={"shared": False},
            imports=("sb3_contrib", "stable_baselines3"),
            packages=("sb3-contrib", "stable-baselines3", "torch"),
            environment="sb3",
        ),
        "sb3-recurrent-shared": Entry(
            module="benchmarks.train_peers.sb3_adapter",
            factory="RecurrentPeer",
            settings={"shared": True},
            imports=("sb3_contrib", "stable_baselines3"),
            packages=("sb3-contrib", "stable-baselines3", "torch"),
            environment="sb3",
        ),
        "lstm-loop": Entry(
            module="benchmarks.train_peers.lstm_loop", factory="LstmLoop", imports=("torch",), packages=("torch",)
        ),
        "benchmarl": Entry(
            module="benchmarks.train_peers.benchmarl_adapter",
            factory="BenchmarlPeer",
            imports=("benchmarl", "torchrl"),
            packages=("benchmarl", "torchrl", "tensordict", "torch"),
            environment="benchmarl",
        ),
        "pufferlib": Entry(
            module="benchmarks.train_peers.pufferlib_adapter",
            factory="PufferPeer",
            imports=("pufferlib",),
            packages=("pufferlib-core", "torch"),
            environment="pufferlib",
        ),
    }
)

REFERENCE = "sb3-recurrent"
"""The program that ratios are to."""
