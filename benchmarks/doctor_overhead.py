"""What the doctor's record costs: one learner, every other iteration with it and without, in one run.

    python -m benchmarks.doctor_overhead [--preset quick] [--pairs 60] [--set KEY=VALUE] [--json]

Processor time of one thread, so that other programs on the machine do not count. With the record: its numbers, its
lines on disk, the sample of inputs of the first iterations, and the looks of the live doctor, each where training has
it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from custodes.bft.votes import tolerated
from custodes.rl.learner import iterate
from custodes.rl.mechanics import Mechanics
from custodes.rl.state import create
from custodes.train.diagnostics import Diagnostics
from custodes.train.encoder_file import encoder_digest
from custodes.train.presets import load_preset
from custodes.train.run_folder import create_run
from custodes.train.scoring import workload_for


def measure(preset: str, changes: Sequence[str], pairs: int, folder: Path) -> tuple[list[float], list[float]]:
    """Seconds of processor time of each iteration, without the record and with it; the first pair warms up."""
    config = load_preset(preset, changes)
    workload = workload_for(config)
    env = workload.training_env(tolerated(config.team.agents), config.seed)
    learner = create(config.rl, env, config.seed)
    run = create_run(folder / "run", config, workload.dataset.digest, encoder=encoder_digest(workload.encoder))
    lanes = workload.training_lanes(config.seed)
    diagnostics = Diagnostics(run, workload, lanes, learner, planned=2 * pairs, mechanics=Mechanics(), injected=None)
    without, beside = [], []
    for pair in range(pairs + 1):
        begin = time.process_time()
        iterate(learner, env, config.rl, 0.0)
        middle = time.process_time()
        diagnostics.before()
        line = iterate(learner, env, config.rl, 0.0, observe=diagnostics.observe)
        diagnostics.look(line)
        end = time.process_time()
        if pair:
            without.append(middle - begin)
            beside.append(end - middle)
    return without, beside


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the cost; 1 where it is 2 % or more."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        without, beside = measure(given.preset, given.set, given.pairs, Path(folder))
    share = sum(beside) / sum(without) - 1.0
    middle = statistics.median(b - a for a, b in zip(without, beside, strict=True)) / statistics.median(without)
    if given.json:
        print(json.dumps({"pairs": len(without), "share": share, "median_share": middle}))
    else:
        print(
            f"{given.preset}: {len(without)} pairs of iterations, {statistics.median(without) * 1e3:.1f} ms without "
            f"the record; with it {share:+.2%} in all, {middle:+.2%} by medians of pairs"
        )
    return 0 if middle < 0.02 else 1


if __name__ == "__main__":
    sys.exit(main())
