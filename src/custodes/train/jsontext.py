"""JSON as this program writes it: a missing number is null, an infinity the text "inf" or "-inf"."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def json_value(value: Any) -> Any:
    """Turn a value into one that strict JSON holds.

    Args:
        value: Text, numbers (NumPy's and torch's scalars too), booleans, None, and mappings and sequences of these.

    Returns:
        The same with NaN as None, infinities as "inf" and "-inf", tuples as lists, keys as text.

    Raises:
        TypeError: Something else is in it (a defect of the caller).
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return float(value) if math.isfinite(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return json_value(value.item())
    raise TypeError(f"{type(value).__name__} has no JSON form")


def json_line(value: Any) -> str:
    """One JSON text without a line break.

    Args:
        value: As for `json_value`.

    Returns:
        The text; equal values give equal text.
    """
    return json.dumps(json_value(value), allow_nan=False)
