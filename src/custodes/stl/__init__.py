"""Signal Temporal Logic: rules over signals that are parsed, monitored, explained and forecast.

docs/stl.md declares the language and what every operator means. The names below are loaded when they are first used, so
that reading a rule or watching a stream needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from custodes.stl.analysis import horizon, in_samples, memory, signals, warmup
    from custodes.stl.batched import Robustness, evaluate, smooth_error
    from custodes.stl.errors import FormulaError, StlError
    from custodes.stl.explain import Explanation
    from custodes.stl.facts import check_specs
    from custodes.stl.formula import Formula
    from custodes.stl.parser import parse
    from custodes.stl.policy import End, Nan
    from custodes.stl.printer import format_formula
    from custodes.stl.resample import Resampler, regular
    from custodes.stl.rules import library_names, load_library
    from custodes.stl.specfile import Spec, SpecFile, load_specs, parse_specs
    from custodes.stl.streaming import Monitor, SingleMonitor, Verdict

_HOME = {
    "analysis": ("horizon", "in_samples", "memory", "signals", "warmup"),
    "batched": ("Robustness", "evaluate", "smooth_error"),
    "errors": ("FormulaError", "StlError"),
    # The function itself has the name of its package: custodes.stl.explain.explain.
    "explain": ("Explanation",),
    "facts": ("check_specs",),
    "formula": ("Formula",),
    "parser": ("parse",),
    "policy": ("End", "Nan"),
    "printer": ("format_formula",),
    "resample": ("Resampler", "regular"),
    "rules": ("library_names", "load_library"),
    "specfile": ("Spec", "SpecFile", "load_specs", "parse_specs"),
    "streaming": ("Monitor", "SingleMonitor", "Verdict"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "End",
    "Explanation",
    "Formula",
    "FormulaError",
    "Monitor",
    "Nan",
    "Resampler",
    "Robustness",
    "SingleMonitor",
    "Spec",
    "SpecFile",
    "StlError",
    "Verdict",
    "check_specs",
    "evaluate",
    "format_formula",
    "horizon",
    "in_samples",
    "library_names",
    "load_library",
    "load_specs",
    "memory",
    "parse",
    "parse_specs",
    "regular",
    "signals",
    "smooth_error",
    "warmup",
]


def __getattr__(name: str) -> Any:
    """Load a public name."""
    if name not in _MODULE:
        raise AttributeError(f"module 'custodes.stl' has no attribute '{name}'")
    return getattr(import_module(f"custodes.stl.{_MODULE[name]}"), name)


def __dir__() -> list[str]:
    """What there is."""
    return __all__
