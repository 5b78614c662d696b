"""Which return estimator solves which probe: `python -m benchmarks.probes [--seeds 3] [--json]`.

Each probe has a known optimum at discount 0.95 (docs/environments.md). The learner is the one that trains teams, with
one agent; a probe counts as solved when the greedy policy closes 95 % of the gap from uniform play to the optimum, or,
where there is nothing to choose, when the critic's value is within 5 % of the true one.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import Final, get_args

import torch
from torch import Tensor

from custodes.env.probes import Probe, make_probe, mean_return
from custodes.interface import Observation
from custodes.rl.acting import Actor
from custodes.rl.config import LearnerConfig
from custodes.rl.learner import iterate
from custodes.rl.returns import Estimator
from custodes.rl.state import LearnerState, create

ESTIMATORS: Final = get_args(Estimator)
SOLVABLE: Final[dict[str, tuple[Estimator, ...]]] = {
    "value_only": ESTIMATORS,
    "terminated": ESTIMATORS,
    "truncated": ESTIMATORS,
    "chain": ESTIMATORS,
    "bandit": ESTIMATORS,
    "delayed_reward": ("mc", "td-lambda", "gae"),
    "memory": ESTIMATORS,
    "truncation_vs_termination": ESTIMATORS,
    "ending_action": ESTIMATORS,
}
"""Which estimators can solve which probe. TD(0) cannot solve delayed_reward: the reward of the first step is 0 and the
observation of the second does not show whether the first action was right, so both have the same one-step target."""

VALUE_ONLY: Final = ("value_only", "terminated", "truncated", "chain")
CONFIG: Final = LearnerConfig(
    encoder=16,
    hidden=16,
    rollout=32,
    chunk=16,
    epochs=4,
    minibatches=2,
    gamma=0.95,
    learning_rate=5e-3,
    learning_rate_end=5e-4,
    entropy_coefficient=0.02,
    entropy_coefficient_end=0.0,
    floor_every=1000,
)
ITERATIONS: Final = 150


def solve(name: str, estimator: Estimator, seed: int, iterations: int = ITERATIONS) -> dict[str, float | bool]:
    """Train on one probe and measure.

    Returns:
        `score` (mean greedy return, or 1 - relative value error), `optimum`, `solved`.
    """
    probe = make_probe(name, slots=32, agents=1, seed=seed)
    config = replace(CONFIG, returns=estimator, gamma=probe.discount)
    learner = create(config, probe, seed)
    for i in range(iterations):
        iterate(learner, probe, config, i / iterations)
    if name in VALUE_ONLY:
        error = value_error(learner, make_probe(name, slots=32, agents=1, seed=seed + 1))
        return {"score": 1.0 - error, "optimum": 1.0, "solved": error < 0.05}
    fresh = make_probe(name, slots=64, agents=1, seed=seed + 1)
    score = mean_return(fresh, Greedy(learner, 64))
    return {"score": score, "optimum": probe.optimum, "solved": fresh.solved(score)}


class Greedy:
    """The most probable action, with memory within an episode."""

    def __init__(self, learner: LearnerState, slots: int) -> None:
        self.actor, self.state = Actor(learner.policy), learner.policy.initial_state(slots)

    def __call__(self, observation: Observation, begins: Tensor) -> Tensor:
        """Int64 [B, 1] actions for one observation of every slot; `begins` forgets the past."""
        acted = self.actor.step(observation, self.state.reset(begins))
        self.state = acted.state
        return acted.logits.argmax(-1)


def value_error(learner: LearnerState, probe: Probe, steps: int = 64) -> float:
    """Mean absolute error of the critic over the mean absolute true value."""
    actor, state = Actor(learner.policy), learner.policy.initial_state(probe.slots)
    observation, begins = probe.reset(), torch.ones(probe.slots, dtype=torch.bool)
    wrong = size = 0.0
    for _ in range(steps):
        acted = actor.step(observation, state.reset(begins))
        state, truth = acted.state, probe.values()
        value = learner.norm.denormalise(acted.value)[:, 0]
        wrong, size = wrong + float((value - truth).abs().sum()), size + float(truth.abs().sum())
        step = probe.step(acted.logits.argmax(-1))
        observation, begins = step.observation, step.terminated | step.truncated
    return wrong / size


def table(seeds: int) -> dict[str, dict[str, dict[str, float | int | bool]]]:
    """Every probe by every estimator: worst and mean score over seeds, how many were solved, whether it can be."""
    rows: dict[str, dict[str, dict[str, float | int | bool]]] = {}
    for name, able in SOLVABLE.items():
        rows[name] = {}
        for estimator in ESTIMATORS:
            runs = [solve(name, estimator, seed) for seed in range(seeds)]
            rows[name][estimator] = {
                "mean": sum(float(r["score"]) for r in runs) / seeds,
                "worst": min(float(r["score"]) for r in runs),
                "optimum": float(runs[0]["optimum"]),
                "solved": sum(bool(r["solved"]) for r in runs),
                "seeds": seeds,
                "solvable": estimator in able,
            }
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = table(options.seeds)
    if options.json:
        print(json.dumps(rows))
        return
    print(f"| probe | optimum | {' | '.join(ESTIMATORS)} |\n|---|---|{'---|' * len(ESTIMATORS)}")
    for name, row in rows.items():
        cells = [f"{c['mean']:.3f} ({c['solved']}/{c['seeds']})" for c in row.values()]
        print(f"| {name} | {row['gae']['optimum']:.3f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
