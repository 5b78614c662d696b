"""The measurements for people."""

from __future__ import annotations

from typing import Any


def table(result: dict[str, Any]) -> str:
    """Lines of text: what was measured, how, and what is missing and why."""
    lines = [
        f"T = {result['length']}, one thread, {result['statistic']} ({result['rounds']} x {result['seconds']:g} s)",
        "",
        "whole robustness traces, samples per second",
    ]
    for phi, engines in result["offline"].items():
        lines.append(f"  {phi}: {result['formulas'][phi]}")
        rows = [(engine, result["precision"][engine], batches) for engine, batches in engines.items()]
        rows += [(engine, "float64", batches) for engine, batches in result["offline_float64"][phi].items()]
        for engine, precision, batches in rows:
            cells = "  ".join(f"B={batch}: {_number(speed)}" for batch, speed in batches.items())
            lines.append(f"    {engine:8} {precision} {cells}")
        for precision, key in (("float32", "ratios"), ("float64", "ratios_float64")):
            ratios = [f"{ratio:,.1f} x {name}" for name, ratio in result[key][phi].items() if ratio is not None]
            lines += [f"    custodes in {precision} at B=64: {', '.join(ratios)}"] if ratios else []
    lines += ["", "one stream, us per sample"]
    for phi, engines in result["online"].items():
        lines.append(f"  {phi}: " + ", ".join(f"{name} {_small(cost)}" for name, cost in engines.items()))
    for key, title in (("fleet", "streams in lockstep (phi1)"), ("fleet_window", "1,024 streams by outer window")):
        lines += ["", f"{title}, us per stream and sample"]
        lines.append("  " + ", ".join(f"{size}: {_small(cost)}" for size, cost in result[key].items()))
    lines += ["", "growth of peak memory at batch 1,024 (phi1), MiB"]
    lines.append("  " + ", ".join(f"T={length}: {_mebibytes(size)}" for length, size in result["memory"].items()))
    for kind in ("missing", "failed"):
        lines += [f"{kind}: {name}: {reason}" for name, reason in result[kind].items()]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-".rjust(13) if value is None else f"{value:13,.0f}"


def _small(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _mebibytes(value: int | None) -> str:
    return "-" if value is None else f"{value / 2**20:.0f}"
