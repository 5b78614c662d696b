"""How fast environments step and a replay runs, alone: `python -m benchmarks.env --json`.

Four agents with overlapping views of 64 inputs, one torch thread, seeded ballots drawn before the clock starts, on a
generated recording (`--data`: a file's, with its own inputs). Each figure is the median over repeats.
`entity_steps_per_second` counts one event of one slot by the wall clock; `cpu_microseconds_per_step` is the thread's
own time, which other load on the machine does not stretch; `ends_per_step` says how many lanes end in one step of all
slots. A replay is timed on a quarter of the events and on all of them, so that one sees whether it is linear.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.env_stage import Stage, from_file, generated
from custodes.bft.votes import BLOCK
from custodes.env.response.replay import replay
from custodes.errors import CustodesError
from custodes.interface import VectorEnv

SLOTS = (64, 256, 1024, 4096)
EVENTS = 400_000
Row = dict[str, Any]


def step_row(task: str, env: VectorEnv, repeats: int, steps: int) -> Row:
    """One environment's figures.

    Args:
        task: Its name.
        env: What is stepped.
        repeats: Timed runs, after one that is not.
        steps: Steps of one run.
    """
    generator = torch.Generator().manual_seed(0)
    shape = (env.slots, env.agents)
    ballots = [torch.randint(0, env.actions, shape, generator=generator) for _ in range(16)]
    env.reset()
    wall, cpu, ends = [], [], 0
    for repeat in range(repeats + 1):
        begin = time.perf_counter(), time.thread_time()
        for index in range(steps):
            step = env.step(ballots[index % len(ballots)])
            if repeat == 0:
                ends += int((step.terminated | step.truncated).sum())
        wall.append((time.perf_counter() - begin[0]) / steps)
        cpu.append((time.thread_time() - begin[1]) / steps)
    median, thread = statistics.median(wall[1:]), statistics.median(cpu[1:])
    return {
        "task": task,
        "slots": env.slots,
        "agents": env.agents,
        "inputs": env.inputs,
        "microseconds_per_step": round(median * 1e6, 1),
        "cpu_microseconds_per_step": round(thread * 1e6, 1),
        "cpu_microseconds_per_slot": round(thread * 1e6 / env.slots, 3),
        "entity_steps_per_second": round(env.slots / median),
        "entity_steps_per_cpu_second": round(env.slots / thread),
        "ends_per_step": round(ends / steps, 2),
    }


def acting_rarely(events: int) -> NDArray[np.int8]:
    """Alert, Quarantine or Block on one event in a hundred, at random, int8 [events]."""
    draw = np.random.default_rng(0)
    decisions: NDArray[np.int8] = draw.integers(1, 4, events).astype(np.int8)
    return decisions * (draw.random(events) < 0.01)


def blocking_all(events: int) -> NDArray[np.int8]:
    """Block at every event, int8 [events]."""
    return np.full(events, BLOCK, dtype=np.int8)


POLICIES: dict[str, Callable[[int], NDArray[np.int8]]] = {"one-percent": acting_rarely, "block-all": blocking_all}


def replay_rows(stage: Stage, repeats: int) -> list[Row]:
    """Seconds of a whole replay, by policy, of a quarter of the events and of all."""
    rows = []
    for events in (len(stage.dataset) // 4, len(stage.dataset)):
        recording = stage.recording(events)
        for name, policy in POLICIES.items():
            decisions, taken = policy(events), []
            for _ in range(repeats + 1):
                begin = time.thread_time()
                replay(recording, decisions, stage.costs)
                taken.append(time.thread_time() - begin)
            seconds = statistics.median(taken[1:])
            rows.append(
                {
                    "policy": name,
                    "events": events,
                    "cpu_seconds": round(seconds, 4),
                    "events_per_cpu_second": round(events / seconds),
                }
            )
    return rows


def measure(stage: Stage, slots: Sequence[int], repeats: int = 5, steps: int = 200) -> dict[str, Any]:
    """All figures: a row for each task and number of slots, and the replay's."""
    rows = []
    for count in slots:
        rows.append(step_row("triage", stage.triage(count), repeats, steps))
        rows.append(step_row("response", stage.response(count), repeats, steps))
    return {
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "events": len(stage.dataset),
        "lanes": len(stage.lanes().start),
        "rows": sorted(rows, key=lambda row: str(row["task"])),
        "replay": replay_rows(stage, repeats),
    }


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not an integer of at least 1")
    return int(text)


def table(result: dict[str, Any]) -> str:
    """The figures as lines."""
    lines = [f"{result['events']:,} events, {result['lanes']:,} lanes, {result['threads']} thread"]
    lines += [
        f"{row['task']:8} {row['slots']:5} slots {row['microseconds_per_step']:9.1f} us/step "
        f"({row['cpu_microseconds_per_step']:.1f} of the thread) "
        f"{row['entity_steps_per_second'] / 1e6:6.2f} M entity-steps/s"
        for row in result["rows"]
    ]
    lines += [
        f"replay {row['policy']:11} {row['events']:9,} events {row['cpu_seconds']:8.3f} s "
        f"{row['events_per_cpu_second'] / 1e6:6.2f} M events/s"
        for row in result["replay"]
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures, as a table or as one JSON object.

    Returns:
        0; 2 for a file that cannot be used.
    """
    line = argparse.ArgumentParser(prog="python -m benchmarks.env", description=__doc__)
    line.add_argument("--json", action="store_true", help="print one JSON object on standard output and nothing else")
    line.add_argument("--slots", type=_positive, nargs="+", default=list(SLOTS), help="lanes in parallel")
    line.add_argument("--data", default="", help="a recording to play instead of a generated one")
    line.add_argument("--events", type=_positive, default=EVENTS, help="events of the generated one (%(default)s)")
    line.add_argument("--steps", type=_positive, default=200, help="steps of one timed run (%(default)s)")
    line.add_argument("--repeats", type=_positive, default=5, help="timed runs; the median counts (%(default)s)")
    options = line.parse_args(arguments)
    if options.events < 4:
        line.error("--events must be at least 4")
    torch.set_num_threads(1)
    try:
        stage = from_file(options.data) if options.data else generated(options.events)
        result = measure(stage, options.slots, options.repeats, options.steps)
    except CustodesError as problem:
        print(problem, file=sys.stderr)
        return 2
    print(json.dumps(result) if options.json else table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
