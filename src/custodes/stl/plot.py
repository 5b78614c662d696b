"""A picture of an explanation: signals with thresholds, the samples responsible, and robustness over time."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from custodes.stl import formula as f
from custodes.stl.errors import StlError
from custodes.stl.explain import Explanation, Interval
from custodes.stl.explain.text import headline, shorten

FORMATS: Final = ("png", "svg")
"""What can be written, by the file's ending."""
MOST_SIGNALS: Final = 12
"""Signals shown; those responsible first."""
_BLAME, _BROKEN, _LINE = "#d62728", "#f5b7b1", "#1f4e79"


def plot_explanation(explanation: Explanation, path: str | Path) -> Path:
    """Draw an explanation into a file; an existing one is replaced when the new one is complete.

    Args:
        explanation: What to draw.
        path: A .png or .svg file.

    Returns:
        The path.

    Raises:
        StlError: The ending names no format, matplotlib is not installed, or the file cannot be written.
    """
    path = Path(path)
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise StlError(f"{path.suffix or 'no ending'} names no picture format", where=str(path), fix="use .png or .svg")
    figure = _draw(explanation)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with aside.open("wb") as file:
            figure.savefig(file, format=form, metadata={"Date": None} if form == "svg" else None)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise StlError(f"cannot be written: {why}", where=str(path), fix="check folder, permissions and disk") from None
    finally:
        aside.unlink(missing_ok=True)
    return path


def _draw(explanation: Explanation) -> Any:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise StlError("plots need matplotlib", fix="pip install 'custodes[plot]'") from None
    blamed = [name for name in explanation.signals if name in explanation.responsible]
    names = (blamed + [name for name in explanation.signals if name not in blamed])[:MOST_SIGNALS]
    rows = len(names) + 1
    figure = Figure(figsize=(10, 1.2 + 1.5 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    x = np.arange(explanation.length, dtype=np.float64) if explanation.times is None else explanation.times
    for name, axis in zip(names, axes[:-1], strict=True):
        _signal(axis, x, name, explanation)
    _robustness(axes[-1], x, explanation)
    # A dollar sign would start a formula of another kind.
    title = f"{shorten(explanation.text)}\n{headline(explanation)}"
    figure.suptitle(title, fontsize=10, parse_math=False)
    axes[-1].set_xlabel("sample" if explanation.times is None else f"time ({explanation.unit})")
    return figure


def _signal(axis: Any, x: npt.NDArray[np.float64], name: str, explanation: Explanation) -> None:
    """One signal, its thresholds, and the samples of it that are responsible."""
    axis.step(x, explanation.signals[name], where="mid", color=_LINE, linewidth=1.2)
    for threshold in sorted(_thresholds(explanation.formula, name)):
        axis.axhline(threshold, color="black", linestyle="--", linewidth=0.8)
    _shade(axis, x, explanation.responsible.get(name, ()), _BLAME, 0.25)
    axis.set_ylabel(name, rotation=0, ha="right", va="center", parse_math=False)


def _robustness(axis: Any, x: npt.NDArray[np.float64], explanation: Explanation) -> None:
    """Robustness with its zero line; what is infinite is left out."""
    lower, upper = (
        np.where(np.isfinite(each), each, np.nan) for each in (explanation.runs.lower, explanation.runs.upper)
    )
    axis.axhline(0.0, color="black", linewidth=0.8)
    axis.step(x, lower, where="mid", color=_LINE, linewidth=1.2)
    if not np.array_equal(lower, upper, equal_nan=True):
        axis.step(x, upper, where="mid", color=_LINE, linewidth=1.2, linestyle=":")
    _shade(axis, x, explanation.runs.violated, _BROKEN, 0.7)
    axis.axvline(x[explanation.at], color=_BLAME, linewidth=1.0)
    axis.set_ylabel("robustness", rotation=0, ha="right", va="center")


def _shade(axis: Any, x: npt.NDArray[np.float64], parts: Iterable[Interval], color: str, alpha: float) -> None:
    """Shade ranges of samples, each sample as wide as the step to the next one."""
    edges = np.append(x, x[-1] + (x[-1] - x[-2] if x.size > 1 else 1.0))
    widths = np.diff(edges)
    shaded = np.zeros(x.size, dtype=bool)
    for part in parts:
        shaded[part.first : part.last + 1] = True
    sides = np.stack([x - widths / 2, x + widths / 2], axis=1).ravel()
    axis.fill_between(
        sides, 0, 1, where=np.repeat(shaded, 2), transform=axis.get_xaxis_transform(), color=color, alpha=alpha, lw=0
    )


def _thresholds(formula: f.Formula, name: str) -> set[float]:
    """Numbers that a signal is compared with directly."""
    found = set()
    for node in f.walk(formula):
        if isinstance(node, f.Comparison):
            for side, other in ((node.left, node.right), (node.right, node.left)):
                if isinstance(side, f.Signal) and side.name == name and isinstance(other, f.Number):
                    found.add(other.value)
    return found
