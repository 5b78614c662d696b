"""What a synthetic recording holds: its size, its attacks, how well they hide, and its seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from custodes.errors import CustodesError

_INTEGERS = {
    "hosts": (1, 10_000),
    "processes": (10, 100_000),
    "events": (1_000, 1_000_000_000),
    "campaigns": (0, 1_000_000),
    "seed": (0, 2**63 - 1),
}
_SHARES = {"threat_rate": (0.0, 0.5), "stealth": (0.0, 1.0), "drift": (0.0, 1.0)}


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """Settings of `custodes.data.synthetic.generate`. Out of range: CustodesError when it generates."""

    hosts: int = 8
    """Recorded hosts, each a stream; 1 to 10,000."""
    processes: int = 160
    """Benign processes per host, started over the whole recording; 10 to 100,000."""
    events: int = 60_000
    """Events in the whole recording: a target, met within about 10 %; 1,000 to 1e9, at least 8 per process."""
    campaigns: int = 28
    """Multi-stage attacks over all hosts; 0 to 1e6; 0 leaves every event benign."""
    threat_rate: float = 0.08
    """Share of malicious events aimed at when there is any campaign; 0 to 0.5."""
    stealth: float = 0.5
    """0 to 1: how far campaigns hide: more of the host program's own behaviour in them, and a slower pace."""
    drift: float = 0.2
    """0 to 1: how far the mix and the rates of programs at the end differ from those at the start."""
    seed: int = 0
    """Everything follows from it: the same settings and seed give the same bytes; 0 to 2^63 - 1."""


def check(config: SyntheticConfig) -> None:
    """Refuse settings that are not of their type or out of their range.

    Raises:
        CustodesError: names the key, its range, and what was given.
    """
    for name, (low, high) in _INTEGERS.items():
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise CustodesError(
                f"{value!r} is not a whole number from {low} to {high}", where=f"data.synthetic.{name}", fix="change it"
            )
    for name, (lowest, highest) in _SHARES.items():
        value = getattr(config, name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not lowest <= value <= highest:
            raise CustodesError(
                f"{value!r} is not a number from {lowest:g} to {highest:g}",
                where=f"data.synthetic.{name}",
                fix="change it",
            )
    if config.events < 8 * config.hosts * config.processes:
        raise CustodesError(
            f"{config.events} events are too few for {config.hosts} hosts with {config.processes} processes each",
            where="data.synthetic.events",
            fix=f"ask for at least {8 * config.hosts * config.processes} events, or for fewer processes",
        )
