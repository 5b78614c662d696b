"""How fast the lane player steps, alone: `python -m benchmarks.env --json`.

A seeded random table (no recording needed), one torch thread, random actions drawn before the clock starts. Each figure
is the median over repeats. `slot_steps_per_second` counts one event of one slot by the wall clock;
`cpu_microseconds_per_step` is the thread's own time, which other load on the machine does not stretch;
`resets_per_step` says how many lanes end in one step of all slots.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from custodes.env.lanes import Lanes
from custodes.env.table import EnvTable
from custodes.env.triage import TriageConfig, TriageEnv

SLOTS = (64, 128, 256, 512, 1024, 2048, 4096)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One workload."""

    slots: int
    """Lanes in parallel."""
    agents: int = 1
    """Agents of the team."""
    inputs: int = 32
    """Features."""
    events: int = 100_000
    """Rows of the table."""
    lane: int = 50
    """Events per lane."""
    masked: bool = False
    """True where each agent misses a quarter of the features and of the events."""


def environment(case: Case) -> TriageEnv:
    """A lane player over a seeded random table."""
    draw = np.random.default_rng(0)
    features = draw.normal(size=(case.events, case.inputs)).astype(np.float32)
    labels = draw.integers(0, 2, case.events)
    columns = draw.random((case.agents, case.inputs)) < 0.75 if case.masked else None
    rows = draw.random((case.agents, case.events)) < 0.75 if case.masked else None
    table = EnvTable.from_numpy(features, labels, columns, rows, agents=case.agents)
    count = case.events // case.lane
    order = np.arange(count * case.lane)
    last = order[case.lane - 1 :: case.lane]
    lanes = Lanes(
        order=order,
        start=last - case.lane + 1,
        length=np.full(count, case.lane),
        terminated=np.zeros(count, dtype=np.bool_),
        successor=np.minimum(last + 1, case.events - 1),
    )
    env = TriageEnv(table, lanes, TriageConfig(slots=case.slots), (case.agents - 1) // 3)
    # Spread the slots over their lanes, so that lanes end in every step and not all at once.
    state = env.state()
    env.load_state(state | {"position": torch.from_numpy(draw.integers(0, case.lane, case.slots))})
    return env


def seconds_per_step(case: Case, repeats: int = 5, steps: int = 200) -> tuple[float, float]:
    """Median time of one step of all slots by the wall clock and of the thread, seconds."""
    env = environment(case)
    generator = torch.Generator().manual_seed(0)
    ballots = [torch.randint(0, 4, (case.slots, case.agents), generator=generator) for _ in range(16)]
    wall, cpu = [], []
    for _ in range(repeats + 1):
        begin = time.perf_counter(), time.thread_time()
        for index in range(steps):
            env.step(ballots[index % len(ballots)])
        wall.append((time.perf_counter() - begin[0]) / steps)
        cpu.append((time.thread_time() - begin[1]) / steps)
    return statistics.median(wall[1:]), statistics.median(cpu[1:])


def measure(slots: Sequence[int]) -> dict[str, object]:
    """One row per number of slots, and the masked team of four at the same sizes."""
    rows = []
    for team in ({}, {"agents": 4}, {"agents": 4, "masked": True}):
        for count in slots:
            case = Case(slots=count, **team)  # type: ignore[arg-type]  # the values of one mapping differ in type
            wall, cpu = seconds_per_step(case)
            rows.append(
                asdict(case)
                | {
                    "microseconds_per_step": round(wall * 1e6, 1),
                    "cpu_microseconds_per_step": round(cpu * 1e6, 1),
                    "slot_steps_per_second": round(count / wall),
                    "resets_per_step": count / case.lane,
                }
            )
    return {"threads": torch.get_num_threads(), "torch": torch.__version__, "rows": rows}


def main() -> None:
    """Print the measurements, as a table or as one JSON object."""
    parser = argparse.ArgumentParser(description="Speed of the lane player alone.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--slots", type=int, nargs="+", default=list(SLOTS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    result = measure(options.slots)
    if options.json:
        print(json.dumps(result))
        return
    rows = result["rows"]
    assert isinstance(rows, list)
    for row in rows:
        team = f"{row['agents']} agents{', masked' if row['masked'] else ''}"
        print(
            f"{team:18} {row['slots']:5} slots {row['microseconds_per_step']:9.1f} us/step "
            f"({row['cpu_microseconds_per_step']:.1f} of the thread) "
            f"{row['slot_steps_per_second'] / 1e6:7.2f} M slot-steps/s"
        )


if __name__ == "__main__":
    main()
