"""What rules and the vote cost in training: `python -m benchmarks.rules_overhead --preset quick`.

Processor time per iteration (rollout and update) of the same learner, its environment
bare, watched, and taught, in turns in one process; beside it the share of the vote rule.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from custodes.bft.votes import tolerated
from custodes.env.ballots import VoteRule
from custodes.rl.learner import iterate
from custodes.rl.state import create
from custodes.team.rules.book import read_book
from custodes.train.config import RunConfig
from custodes.train.presets import load_preset
from custodes.train.rules import teacher_of, watched
from custodes.train.scoring import workload_for


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--data", default="")
    parser.add_argument("--specs", default="default")
    parser.add_argument("--iterations", type=int, default=8, help="of each kind, after one that is not counted")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    config = load_preset(wanted.preset, [f"data.path={wanted.data}"] if wanted.data else [])
    steps = iterators(config, wanted.specs)
    spent: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(wanted.iterations + 1):
        for name, step in steps.items():
            begin = time.process_time()
            step()
            if turn:
                spent[name].append(time.process_time() - begin)
    votes = vote_seconds(config)
    print(f"{wanted.preset}: {config.env.slots} slots, {config.rl.rollout} steps, {config.team.agents} agents")
    bare = statistics.median(spent["none"])
    for name, each in spent.items():
        median = statistics.median(each)
        print(f"{name:12} {median:7.3f} s per iteration  {median / bare - 1:+7.1%}")
    share = votes * config.rl.rollout / bare
    print(f"vote rule    {votes * 1e6:7.1f} us per step       {share:7.2%} of an iteration without rules")


def iterators(config: RunConfig, specs: str) -> dict[str, Callable[[], Any]]:
    """One learner of each kind, ready to iterate."""
    workload = workload_for(config)
    book = read_book(specs)

    def of(method: str) -> Callable[[], Any]:
        game = workload.training_game(tolerated(config.team.agents), config.seed)
        if method == "none":
            bare = workload.among_liars(game, config.seed)
            untaught = create(config.rl, bare, config.seed)
            return lambda: iterate(untaught, bare, config.rl, 0.5)
        watch = watched(game)
        env = workload.among_liars(watch, config.seed)
        learner = create(config.rl, env, config.seed)
        ruled = replace(config, rules=replace(config.rules, file=specs, method=method))  # type: ignore[arg-type]
        teacher = teacher_of(ruled, book, workload, watch, learner.policy, print)
        return lambda: iterate(learner, env, config.rl, 0.5, teacher=teacher)

    return {method: of(method) for method in ("none", "watch", "penalty", "lagrangian")}


def vote_seconds(config: RunConfig) -> float:
    """Seconds of one vote over all slots."""
    ballots = torch.randint(0, 4, (config.env.slots, config.team.agents))
    decide, rounds = VoteRule(config.team.agents, tolerated(config.team.agents)), 2000
    begin = time.process_time()
    for _ in range(rounds):
        decide(ballots)
    return (time.process_time() - begin) / rounds


if __name__ == "__main__":
    main()
