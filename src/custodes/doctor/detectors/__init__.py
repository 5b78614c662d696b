"""The detectors, by what they look at. Importing this registers them all."""

from __future__ import annotations

from custodes.doctor.detectors import (  # noqa: F401
    apart,
    critic,
    data,
    inputs,
    policy,
    returns,
    rewards,
    rules,
    run,
    start,
    steps,
    team,
)
