"""Range checks of settings."""

from __future__ import annotations

import math
from typing import Any


def require(
    config: Any,
    name: str,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> None:
    """Raise ValueError unless `config.name` is finite and within the bounds; the message starts with the name."""
    value = getattr(config, name)
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value}, not a finite number")
    if low is not None and value < low:
        raise ValueError(f"{name} is {value}, below {low}")
    if above is not None and value <= above:
        raise ValueError(f"{name} is {value}, not above {above}")
    if below is not None and value >= below:
        raise ValueError(f"{name} is {value}, not below {below}")
    if high is not None and value > high:
        raise ValueError(f"{name} is {value}, above {high}")
