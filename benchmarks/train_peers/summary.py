"""From measurements to the object and the table that are printed."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.train_peers.registry import REFERENCE
from benchmarks.train_peers.rounds import Rounds, Worker
from benchmarks.train_peers.workload import Workload


def machine() -> dict[str, Any]:
    """Where the numbers were taken, without the machine's name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def rates(worker: Worker, clock: str) -> list[float]:
    """Environment steps per second of `clock` (`seconds` or `cpu_seconds`), one per round."""
    return [turn["steps"] / turn[clock] for turn in worker.turns]


def ratio_ranges(workers: tuple[Worker, ...]) -> dict[str, list[float]]:
    """Least and greatest ratio to the reference in the same round; empty without the reference."""
    reference = next((rates(worker, "seconds") for worker in workers if worker.name == REFERENCE), None)
    if reference is None:
        return {}
    ranges = {}
    for worker in workers:
        each = [own / other for own, other in zip(rates(worker, "seconds"), reference, strict=True)]
        ranges[worker.name] = [round(min(each), 2), round(max(each), 2)]
    return ranges


def to_reference(values: dict[str, float]) -> dict[str, float]:
    """Every value over the reference's; empty without the reference."""
    reference = values.get(REFERENCE)
    return {name: round(value / reference, 2) for name, value in values.items()} if reference else {}


def summarise(result: Rounds, workload: Workload, environment: float, seconds: float) -> dict[str, Any]:
    """The object that `--json` prints."""
    workers = result.workers

    def each(of: Callable[[Worker], Any]) -> dict[str, Any]:
        return {worker.name: of(worker) for worker in workers}

    wall = each(lambda worker: round(median(rates(worker, "seconds")), 1))
    cpu = each(lambda worker: round(median(rates(worker, "cpu_seconds")), 1))
    resets = workload.lanes / ((workload.shortest + workload.longest) / 2)
    return {
        "workload": asdict(workload) | {"resets_per_step": round(resets, 2), "seconds_per_turn": seconds},
        "machine": machine(),
        "environment_steps_per_second": round(environment),
        "parameters": each(lambda worker: worker.hello["parameters"]),
        "steps_per_second": wall,
        "steps_per_cpu_second": cpu,
        "rounds": each(lambda worker: [round(rate, 1) for rate in rates(worker, "seconds")]),
        "ratios": to_reference(wall),
        "ratio_ranges": ratio_ranges(workers),
        "cpu_ratios": to_reference(cpu),
        "reward_last_round": each(lambda worker: worker.turns[-1]["reward"]),
        "samples_trained": each(lambda worker: sum(turn["steps"] for turn in worker.turns)),
        "versions": each(lambda worker: worker.hello["versions"]),
        "notes": each(lambda worker: worker.hello["note"]),
        "skipped": result.absent | {name: f"failed: {reason}" for name, reason in result.failed.items()},
    }


def table(summary: dict[str, Any]) -> str:
    """The same for people."""
    head = f"{'program':21} {'parameters':>10} {'steps/s':>9} {'ratio':>6} {'in rounds':>13} {'CPU ratio':>9}  note"
    lines = [f"environment alone: {summary['environment_steps_per_second']:,} steps/s", head]
    for name, speed in summary["steps_per_second"].items():
        low, high = summary["ratio_ranges"].get(name, ["", ""])
        ratio, cpu = summary["ratios"].get(name, ""), summary["cpu_ratios"].get(name, "")
        lines.append(
            f"{name:21} {summary['parameters'][name]:>10,} {speed:>9,.0f} {ratio:>6} {f'{low}-{high}':>13} {cpu:>9}  "
            f"{summary['notes'][name]}"
        )
    lines += [f"{name:21} skipped: {reason}" for name, reason in summary["skipped"].items()]
    return "\n".join(lines)
