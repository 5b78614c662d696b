"""Conformal bounds on a trained team's suspicion of whole process trees: `python -m benchmarks.stl_conformal RUN`.

A trajectory is a process tree (what a child of a host's first process started): the team's score (the (f+1)-th
largest probability of containment, its maximum so far) at the tree's first T events; a shorter tree stays as it
ended. The rule is `always (score <= LIMIT)`: the tree never looks as if it had to be contained. After each of several
prefixes its robustness over all T events is bounded from below; the nonconformity is the largest over these prefixes,
so that all bounds of a tree hold together with probability 1 - delta. Calibration is apart for trees that do
something malicious and for those that do not (Mondrian classes): each class is covered by itself, and a bound is read
as "if this tree is benign, then ...".

Exchangeable are trees of different hosts, not those of one host: these share programs, users and campaigns. So the
guarantee is measured with one tree of a class and host, drawn at random, hosts split into calibration and test. How
alike the trees of a host are is told beside it (intraclass correlation of the scores, and the coverage that calibrating
on all trees as if they were independent would have).

Held-out hosts come from the generator with seeds that the run was not trained on. Shifts are injected into the test
hosts only: into the agents' scores (their log-odds grow with every event of a tree), and, reported as it is, into the
generator (programs drift, attackers hide less).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from custodes.cli.locate import find_data
from custodes.data.config import DataConfig
from custodes.data.dataset import Dataset
from custodes.data.reader import load
from custodes.data.synthetic import SyntheticConfig
from custodes.data.views import preset_views, view_masks
from custodes.env.lanes import build_lanes
from custodes.env.response.forest import forest_of
from custodes.env.table import EnvTable
from custodes.errors import CustodesError
from custodes.rl.networks import Policy
from custodes.rl.state import load_policy
from custodes.stl.forecast import DriftMonitor, Forecaster, LastValue, calibrate_direct, coverage_interval
from custodes.stl.formula import Formula
from custodes.stl.parser import parse
from custodes.team.team import Team
from custodes.train import checkpoint
from custodes.train.encoder_file import read_encoder
from custodes.train.run_folder import RunFolder, open_run
from custodes.train.scoring import workload_of

LENGTH: Final = 24
SEEN: Final = (2, 6, 12)
LIMIT: Final = 0.5
DELTA: Final = 0.05
ALPHA: Final = 0.05
SHIFT: Final = 0.4
"""Added to the log-odds of a tree's scores with each of its events."""
CLASSES: Final = ("benign", "malicious")


@dataclass(frozen=True, kw_only=True)
class Trees:
    """Trajectories of process trees."""

    score: Tensor
    """float64 [N, LENGTH, 1]."""
    host: NDArray[np.int64]
    """[N]."""
    malicious: NDArray[np.bool_]
    """[N]."""

    def only(self, chosen: NDArray[Any]) -> Trees:
        """Some of them."""
        return Trees(score=self.score[chosen], host=self.host[chosen], malicious=self.malicious[chosen])


class Scorer:
    """A run's team on recordings of other hosts."""

    def __init__(self, path: Path) -> None:
        self.run: RunFolder = open_run(path)
        self.encoder = read_encoder(path, self.run.encoder)
        file = self.run.checkpoints / checkpoint.BEST
        saved = checkpoint.load_file(file if file.exists() else self.run.checkpoints / checkpoint.LAST)
        config, inputs = self.run.config, len(self.encoder.columns)
        policy = Policy(config.rl, agents=config.team.agents, inputs=inputs, central_inputs=inputs, actions=4)
        load_policy(policy, dict(saved.tensors))
        self.team = Team.of(policy)

    def trees(self, dataset: Dataset, rows: NDArray[np.int64] | None = None, shift: float = 0.0) -> Trees:
        """The trees of a recording, from their roots' first events (of some rows only, if given)."""
        config = self.run.config
        rows = np.arange(len(dataset)) if rows is None else rows
        views = view_masks(preset_views(config.team.views, config.team.agents), self.encoder, dataset)
        table = EnvTable.from_numpy(self.encoder.transform(dataset), dataset.labels, *views)
        play = self.team.play(table, build_lanes(dataset, rows, "by_entity", config.env.window))
        score = np.zeros(len(dataset))
        score[play.rows] = play.score
        return _by_tree(dataset, np.sort(rows), score, shift)


def _by_tree(dataset: Dataset, rows: NDArray[np.int64], score: NDArray[np.float64], shift: float) -> Trees:
    forest = forest_of(dataset)
    root = np.arange(forest.entities)
    # A host's first process starts nearly all others: trees begin below it.
    for level in forest.levels[2:]:
        root[level] = root[forest.parent[level]]
    tree = root[forest.entity[rows]]
    order = np.argsort(tree, kind="stable")
    tree, ordered = tree[order], rows[order]
    starts = np.flatnonzero(np.concatenate(([True], tree[1:] != tree[:-1])))
    lengths = np.diff(np.append(starts, len(tree)))
    place = starts[:, None] + np.minimum(np.arange(LENGTH), lengths[:, None] - 1)
    values = score[ordered][place]
    if shift:
        odds = np.log(np.clip(values, 1e-9, 1 - 1e-9) / np.clip(1 - values, 1e-9, 1)) + shift * np.arange(LENGTH)
        values = 1 / (1 + np.exp(-odds))
    values = np.maximum.accumulate(values, axis=1)
    hosts = dataset.events["stream"].rank("dense").to_numpy().astype(np.int64)
    bad = np.maximum.reduceat((dataset.labels[ordered] == 1).astype(np.int64), starts)
    return Trees(score=torch.from_numpy(values)[..., None], host=hosts[ordered[starts]], malicious=bad > 0)


def synthetic(scorer: Scorer, seeds: Sequence[int], shift: float = 0.0, **changes: Any) -> Trees:
    """Trees of fresh hosts, numbered apart."""
    made = []
    for seed in seeds:
        config = SyntheticConfig(hosts=50, processes=16, events=12_000, campaigns=60, seed=seed)
        dataset = load(DataConfig(source="synthetic", synthetic=replace(config, **changes)))
        trees = scorer.trees(dataset, shift=shift)
        made.append(replace(trees, host=trees.host + 1_000 * seed))
    return Trees(
        score=torch.cat([each.score for each in made]),
        host=np.concatenate([each.host for each in made]),
        malicious=np.concatenate([each.malicious for each in made]),
    )


def one_per_host(trees: Trees, draw: np.random.Generator) -> Trees:
    """One tree of each host, at random, in random order."""
    order = draw.permutation(len(trees.host))
    _, first = np.unique(trees.host[order], return_index=True)
    return trees.only(draw.permutation(order[first]))


def calibrated(formula: Formula, trees: Trees, seed: int) -> Forecaster:
    """A forecaster of one class."""
    predictor = LastValue().fit(trees.score)
    made = calibrate_direct(formula, ["score"], trees.score, predictor, observed=SEEN, delta=DELTA)
    return Forecaster(formula, made, predictor, alpha=ALPHA, seed=seed)


def covered(forecaster: Forecaster, trees: Trees) -> float:
    """Share of trees whose bounds all hold."""
    scores = torch.tensor(forecaster.scores(trees.score), dtype=torch.float64)
    return float((scores <= forecaster.calibration.bound).double().mean())


def flagged(forecaster: Forecaster, trees: Trees, seed: int) -> bool:
    """Whether the drift monitor speaks up somewhere along the trees."""
    monitor = DriftMonitor(forecaster.calibration, alpha=ALPHA, seed=seed)
    return any(monitor.update(score).drifted for score in forecaster.scores(trees.score))


def correlation(forecaster: Forecaster, trees: Trees) -> float:
    """Intraclass correlation of the trees' scores within hosts (one-way analysis of variance)."""
    scores = np.array(forecaster.scores(trees.score))
    hosts, place, sizes = np.unique(trees.host, return_inverse=True, return_counts=True)
    means = np.bincount(place, weights=scores) / sizes
    between = (sizes * (means - scores.mean()) ** 2).sum() / max(len(hosts) - 1, 1)
    within = ((scores - means[place]) ** 2).sum() / max(len(scores) - len(hosts), 1)
    typical = (len(scores) - (sizes**2).sum() / len(scores)) / max(len(hosts) - 1, 1)
    total = between + (typical - 1) * within
    return float((between - within) / total) if total > 0 else 0.0


def measure_class(formula: Formula, pool: Trees, shifted: dict[str, Trees], *, runs: int, seed: int) -> dict[str, Any]:
    """Coverage, false flags and power of one class, over random splits of the hosts."""
    coverages, insides, quiet, margins, naive = [], [], 0, [], []
    raised = dict.fromkeys(shifted, 0)
    shifted_coverage: dict[str, list[float]] = {name: [] for name in shifted}
    sizes = 0
    for run in range(runs):
        draw = np.random.default_rng((seed, run))
        hosts = draw.permutation(np.unique(pool.host))
        half = len(hosts) // 2
        calibration = one_per_host(pool.only(np.isin(pool.host, hosts[:half])), draw)
        rest = pool.only(np.isin(pool.host, hosts[half:]))
        tests = one_per_host(rest, draw)
        forecaster = calibrated(formula, calibration, run)
        sizes = len(calibration.host)
        coverages.append(covered(forecaster, tests))
        insides.append(covered(forecaster, rest))
        margins.append(forecaster.calibration.bound)
        quiet += not flagged(forecaster, tests, run)
        naive.append(covered(calibrated(formula, pool.only(np.isin(pool.host, hosts[:half])), run), tests))
        for name, trees in shifted.items():
            moved = one_per_host(trees, draw)
            raised[name] += flagged(forecaster, moved, run)
            shifted_coverage[name].append(covered(forecaster, moved))
    low, high = coverage_interval(sizes, DELTA)
    return {
        "hosts_calibration": sizes,
        "trees": len(pool.host),
        "coverage_mean": float(np.mean(coverages)),
        "coverage_all_trees": float(np.mean(insides)),
        "coverage_if_dependence_is_ignored": float(np.mean(naive)),
        "interval": [low, high],
        "inside": bool(low <= np.mean(coverages)),
        "margin_mean": float(np.mean(margins)),
        "false_flags": 1 - quiet / runs,
        "power": {name: count / runs for name, count in raised.items()},
        "coverage_shifted": {name: float(np.mean(values)) for name, values in shifted_coverage.items()},
        "intraclass_correlation": correlation(
            calibrated(formula, one_per_host(pool, np.random.default_rng(seed)), 0), pool
        ),
    }


def held_out(scorer: Scorer, *, recordings: int, runs: int, seed: int) -> dict[str, Any]:
    """Fresh synthetic hosts."""
    formula = parse(f"always[0,{LENGTH - 1}](score <= {LIMIT})")
    seeds = [1_000 + seed * 100 + number for number in range(recordings)]
    others = [5_000 + each for each in seeds]
    pool = synthetic(scorer, seeds)
    shifted = {
        "scores": synthetic(scorer, others, shift=SHIFT),
        "generator": synthetic(scorer, others, drift=1.0, stealth=0.0),
    }
    found: dict[str, Any] = {}
    for code, name in enumerate(CLASSES):
        mine = pool.only(pool.malicious == bool(code))
        moved = {key: trees.only(trees.malicious == bool(code)) for key, trees in shifted.items()}
        found[name] = measure_class(formula, mine, moved, runs=runs, seed=seed)
    found["ok"] = (
        all(
            found[name]["inside"] and found[name]["false_flags"] <= ALPHA + 2 * (ALPHA / runs) ** 0.5
            for name in CLASSES
        )
        and found["benign"]["power"]["scores"] >= 0.9
    )
    return found


def second_day(path: Path, data: Path | None) -> dict[str, Any]:
    """A real recording as it is: calibrated on half of the training part's trees, looked at on the test part's."""
    scorer = Scorer(path)
    run = scorer.run
    workload = workload_of(replace(run, config=replace(run.config, data=find_data(run.config.data, data))))
    formula = parse(f"always[0,{LENGTH - 1}](score <= {LIMIT})")
    parts = {part: scorer.trees(workload.dataset, workload.split.rows(part)) for part in ("validation", "test")}
    found: dict[str, Any] = {"dataset": workload.dataset.name}
    for code, name in enumerate(CLASSES):
        before, after = (trees.only(trees.malicious == bool(code)) for trees in parts.values())
        row: dict[str, Any] = {"trees_before": len(before.host), "trees_after": len(after.host)}
        if len(before.host) >= round(1 / DELTA):
            forecaster = calibrated(formula, before, 0)
            row["interval"] = list(coverage_interval(len(before.host), DELTA))
            row |= {"coverage": covered(forecaster, after), "margin": forecaster.calibration.bound}
            row["flagged"] = flagged(forecaster, after, 0)
        else:
            row["coverage"] = None
        found[name] = row
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurement.

    Returns:
        0; 1 when a coverage, the false flags or the power are not as promised; 2 for input that cannot be used.
    """
    line = argparse.ArgumentParser(prog="python -m benchmarks.stl_conformal", description=__doc__.splitlines()[0])
    line.add_argument("run", type=Path, help="run of the preset quick")
    line.add_argument("--day2", type=Path, metavar="RUN", help="run of the preset carbanak, looked at as it is")
    line.add_argument("--data", type=Path, help="folder that holds its recording")
    line.add_argument("--recordings", type=int, default=8, help="synthetic recordings of 50 hosts (default: 8)")
    line.add_argument("--runs", type=int, default=200, help="random splits of the hosts (default: 200)")
    line.add_argument("--seed", type=int, default=0, help="of everything (default: 0)")
    line.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = line.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        found: dict[str, Any] = {"delta": DELTA, "length": LENGTH, "seen": list(SEEN), "limit": LIMIT}
        scorer = Scorer(options.run)
        found["synthetic"] = held_out(scorer, recordings=options.recordings, runs=options.runs, seed=options.seed)
        if options.day2 is not None:
            found["day2"] = second_day(options.day2, options.data)
    except CustodesError as error:
        print(f"stl_conformal: {error}", file=sys.stderr)
        return 2
    ok = bool(found["synthetic"]["ok"])
    print(json.dumps(found) if options.json else json.dumps(found, indent=2))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
