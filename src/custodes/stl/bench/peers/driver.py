"""Runs one engine in a process of its own: `python driver.py ADAPTER`, jobs as JSON lines in, answers out.

The adapter is a module beside this file with a function `engine()` whose result has `name`, `versions()` and one method
per kind of job; only it imports the engine, so that this runs where nothing but that engine is installed. One thread.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import sys
import time
from collections.abc import Callable
from typing import Any

SEED = 7
DISTINCT = 16
"""Traces that differ; a larger batch repeats them."""


def traces(batch: int, length: int) -> list[dict[str, list[float]]]:
    """Standard normal x and y: the same numbers in every environment, since they need no library."""
    made = []
    for number in range(min(batch, DISTINCT)):
        source = random.Random(SEED + number)
        made.append({name: [source.gauss(0, 1) for _ in range(length)] for name in ("x", "y")})
    return [made[number % len(made)] for number in range(batch)]


def timed(items: list[tuple[Callable[[], object], int]], seconds: float) -> dict[str, float]:
    """Run the items round and round until the time is up, each at least as whole as it comes.

    Args:
        items: Work, with how many samples it covers. An engine without batches gives one item per trace.
        seconds: When to stop; one item is always run.

    Returns:
        samples, seconds.
    """
    items[0][0]()  # Caches, lazy imports, allocator.
    done, number, start = 0, 0, time.perf_counter()
    while True:
        work, samples = items[number % len(items)]
        work()
        done, number = done + samples, number + 1
        took = time.perf_counter() - start
        if took >= seconds:
            return {"samples": done, "seconds": took}


def answer(engine: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Do one job."""
    kind = job.pop("kind")
    if kind == "hello":
        return {"versions": engine.versions()}
    if kind == "offline":
        work = engine.offline(job["formula"], traces(job["batch"], job["length"]))
        return timed(work, job["seconds"])
    if kind == "online":
        return timed(engine.online(job["formula"], traces(1, job["length"])[0]), job["seconds"])
    if kind == "values":
        return {"values": engine.values(job["formula"], traces(1, job["length"])[0])}
    made: dict[str, Any] = getattr(engine, kind)(**job)
    return made


def main(adapter: str) -> None:
    """Answer until the input ends."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # Whatever a library prints goes to standard error.
    engine = importlib.import_module(adapter).engine()
    for line in sys.stdin:
        try:
            said = answer(engine, json.loads(line))
        except Exception as error:  # One job of one engine: the others go on, and the report names it.
            said = {"error": " ".join(f"{type(error).__name__}: {error}".split())}
        out.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
