"""What voting, liars and credit cost in training: `python -m benchmarks.liars --json`.

One learner on the small synthetic recording, the preset's own networks, one torch thread. Each variant runs the same
iterations, in turn with the others; figures are medians of the thread's own time per iteration, which other load on the
machine does not stretch. `vote_share` is the time that all calls of the vote rule take together, timed by themselves on
the same ballots, over the iteration's: the consensus overhead of training.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import replace
from typing import Any

import torch

from custodes.bft.votes import tolerated
from custodes.env.ballots import VoteRule
from custodes.env.liars import LiarsConfig
from custodes.errors import CustodesError
from custodes.rl.learner import iterate
from custodes.rl.state import create
from custodes.train.presets import load_preset
from custodes.train.scoring import workload_for

VARIANTS: dict[str, dict[str, Any]] = {
    "individual": {},
    "team": {"credit": "team"},
    "pivotal": {"credit": "pivotal"},
    "individual, liars in half of the lanes": {"share": 0.5},
    "pivotal, liars in half of the lanes": {"credit": "pivotal", "share": 0.5},
}
SMALL = ("data.synthetic.hosts=3", "data.synthetic.events=12000")


def measure(preset: str, iterations: int) -> dict[str, Any]:
    """Time every variant.

    Args:
        preset: Whose settings, on a small recording.
        iterations: Timed ones, after one that is not.
    """
    config = load_preset(preset, SMALL)
    workload, f = workload_for(config), tolerated(config.team.agents)
    learners = {}
    for name, change in VARIANTS.items():
        env = replace(workload.env, credit=change.get("credit", "individual"))
        given = replace(workload, env=env, liars=LiarsConfig(share=change.get("share", 0.0)))
        game = given.training_env(f, config.seed)
        learners[name] = (create(config.rl, game, config.seed), game)
    spent: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(iterations + 1):
        for name, (learner, game) in learners.items():
            begin = time.thread_time()
            iterate(learner, game, config.rl, 0.0)
            spent[name].append(time.thread_time() - begin)
    cpu = {name: statistics.median(times[1:]) for name, times in spent.items()}
    plain = cpu["individual"]
    vote = vote_seconds(config.env.slots, config.team.agents, f, config.rl.rollout)
    return {
        "preset": preset,
        "slots": config.env.slots,
        "agents": config.team.agents,
        "steps": config.rl.rollout,
        "iterations": iterations,
        "cpu_seconds_per_iteration": {name: round(value, 4) for name, value in cpu.items()},
        "relative": {name: round(value / plain, 3) for name, value in cpu.items()},
        "vote_milliseconds_per_iteration": round(vote * 1e3, 2),
        "vote_share": round(vote / plain, 4),
    }


def vote_seconds(slots: int, agents: int, f: int, steps: int, repeats: int = 30) -> float:
    """Median time of the vote rule over one rollout."""
    ballots = torch.randint(0, 4, (slots, agents), generator=torch.Generator().manual_seed(0))
    decide = VoteRule(agents, f)
    times = []
    for _ in range(repeats):
        begin = time.thread_time()
        for _ in range(steps):
            decide(ballots)
        times.append(time.thread_time() - begin)
    return statistics.median(times)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--iterations", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    try:
        found = measure(arguments.preset, arguments.iterations)
    except CustodesError as error:
        print(f"benchmarks.liars: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(found))
        return 0
    for name, value in found["relative"].items():
        print(f"{name:45} {found['cpu_seconds_per_iteration'][name]:8.4f} s  {value:6.3f}")
    print(f"the vote rule: {found['vote_milliseconds_per_iteration']} ms, {found['vote_share']:.2%} of an iteration")
    return 0


if __name__ == "__main__":
    sys.exit(main())
