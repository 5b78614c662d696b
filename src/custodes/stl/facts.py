"""What rules are, for those who check them: canonical text, reach, signals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from custodes.stl.analysis import horizon, in_samples, memory, signals
from custodes.stl.errors import StlError
from custodes.stl.printer import format_formula
from custodes.stl.rules.reach import seconds_ahead
from custodes.stl.specfile import Spec, load_specs


def check_specs(path: str | Path) -> list[dict[str, Any]]:
    """What a file's rules are.

    Returns:
        Per rule, see `spec_facts`.

    Raises:
        StlError: Anything in the file is wrong.
    """
    return [spec_facts(spec) for spec in load_specs(path).specs]


def spec_facts(spec: Spec) -> dict[str, Any]:
    """What a rule is.

    Returns:
        name, formula (canonical), horizon and memory (samples; "inf" without end; None where units wait for the
        period of the data: then needs_period is true and horizon_s tells seconds, None without end), signals,
        severity, tags, description.
    """
    try:
        formula, known = in_samples(spec.formula, None), True
    except StlError:
        formula, known = spec.formula, False
    return {
        "name": spec.name,
        "formula": format_formula(formula),
        "horizon": _samples(horizon(formula)) if known else None,
        "needs_period": not known,
        "horizon_s": None if known else seconds_ahead(formula),
        "memory": _samples(memory(formula)) if known else None,
        "signals": list(signals(formula)),
        "severity": spec.severity,
        "tags": list(spec.tags),
        "description": spec.description,
    }


def _samples(reach: int | None) -> int | str:
    return "inf" if reach is None else reach
