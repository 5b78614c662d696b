"""A made-up run folder, for tests and for looking at the page: `python -m tests.report.runs FOLDER`."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custodes.evaluate import (
    BaselineInputs,
    Played,
    Scene,
    TreeSettings,
    encode_evaluation,
    evaluate_play,
    run_baselines,
    to_json_number,
    validate_line,
)

REWARDS = np.array([[1.0, -10.0], [1.0, -10.0], [-9.5, 8.5], [-9.5, 8.5]])
AGENTS = 4
CONFIG = """\
preset = "made-up"
seed = 0

[data]
source = "synthetic"
path = ""
split = "blocks"
fractions = [0.7, 0.15, 0.15]

[team]
agents = 4
views = "overlapping"

[rl]
sharing = "none"
learning_rate = 0.001
gamma = 0.0
warm_start = false

[dataset]
digest = "made-up-digest"

[versions]
format = 1
custodes = "0.1.0"
"""


def config(**changes: str) -> str:
    """`config.toml` with settings replaced by name."""
    lines = CONFIG.splitlines()
    for key, value in changes.items():
        lines = [f"{key} = {value}" if line.startswith(f"{key} =") else line for line in lines]
    return "\n".join(lines) + "\n"


def metrics_line(iteration: int, iterations: int, rng: np.random.Generator) -> dict[str, Any]:
    """A line as training would log it: learning, with noise, an early outlier and evaluations now and then."""
    done = iteration / max(iterations, 1)
    noise = rng.normal(size=12) * 0.02
    f1 = max(0.0, 0.9 * (1 - math.exp(-6 * done)) + noise[0])
    evaluated = iteration % 8 == 0 or iteration == iterations
    tp = int(900 * f1)
    values: dict[str, Any] = {
        "iteration": iteration,
        "decisions": iteration * 8192,
        "value_loss": 9.0 + 30 * math.exp(-9 * done) + noise[1] + (900 if iteration == 1 else 0),
        "value_loss_floor": 8.6 + noise[2],
        "explained_variance": 0.72 * (1 - math.exp(-7 * done)) + noise[3] - (9 if iteration == 1 else 0),
        "explained_variance_mc": 0.70 * (1 - math.exp(-7 * done)) + noise[4],
        "ratio_error": 0.0 if iteration == 3 else 1e-6 * (1 + abs(noise[5]) * 30),
        "policy_loss": -0.01 + noise[6] / 10,
        "entropy": 1.386 * math.exp(-3 * done) + 0.1,
        "kl": math.nan if iteration == 30 else abs(noise[7]) / 2 + 0.004,
        "clip_fraction": abs(noise[8]) * 3,
        "reward_per_decision": -1.5 + 3 * (1 - math.exp(-6 * done)) + noise[9],
        "tp": tp,
        "fp": int(400 * math.exp(-3 * done)),
        "tn": 6800,
        "fn": 900 - tp,
        "f1": f1,
        "eval_f1": min(1.0, f1 + 0.02) if evaluated else None,
        "stl_satisfied": None,
        "steps_per_second": 9000 + 500 * noise[10],
        "seconds": iteration * 0.91,
        "entropy_per_agent": [1.386 * math.exp(-(2 + agent / 2) * done) + 0.1 for agent in range(AGENTS)],
        "action_shares": [[0.85, 0.03, 0.04, 0.08]] * AGENTS,
        "grad_norm": [
            math.inf if iteration == 40 and agent == 1 else 0.6 + agent * 0.3 + noise[11] for agent in range(4)
        ],
        "learning_rate": 1e-3 * (1 - 0.9 * done),
        "entropy_coefficient": 0.02 * (1 - 0.95 * min(1.0, 2 * done)),
        "epochs_run": 4,
        "return_mean": 0.4 + noise[0],
        "return_std": 3.2 + noise[1],
        "eval_precision": min(1.0, f1 + 0.05) if evaluated else None,
        "eval_recall": f1 if evaluated else None,
        "eval_reward_per_decision": 1.4 * f1 if evaluated else None,
    }
    return {key: clean(value) for key, value in values.items()}


def clean(value: Any) -> Any:
    """A value as the writer makes it: no NaN, no infinity."""
    if isinstance(value, list):
        return [clean(item) for item in value]
    return to_json_number(value) if isinstance(value, float) else value


def metrics_text(iterations: int) -> str:
    """`metrics.jsonl` of so many iterations, each line checked as training checks it."""
    rng = np.random.default_rng(1)
    lines = [metrics_line(iteration, iterations, rng) for iteration in range(1, iterations + 1)]
    for line in lines:
        validate_line(line)
    return "".join(json.dumps(line) + "\n" for line in lines)


def table(n: int = 4000) -> BaselineInputs:
    """Events whose label shows in the event before."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(n, 3)).astype(np.float32)
    labels = np.zeros(n, dtype=np.int64)
    labels[1:] = features[:-1, 0] + 0.4 * features[1:, 1] > 1.3
    return BaselineInputs(
        features=features,
        alone=features,
        labels=labels,
        kinds=np.where(rng.random(n) < 0.95, labels, 1 - labels),
        part=np.repeat([0, 1, 2], [n // 2, n // 4, n // 4]),
        lanes=np.arange(n) // 100,
        rewards=REWARDS,
    )


def evaluation(split: str, names: tuple[str, ...] | None = None, warnings: tuple[str, ...] = ()) -> bytes:
    """`evaluation-<split>.json` of a fairly good team."""
    inputs = table()
    inputs = BaselineInputs(**{**vars(inputs), "split": split})
    rows = np.flatnonzero(inputs.part == ("train", "validation", "test").index(split))
    rng = np.random.default_rng(2)
    score: NDArray[np.float64] = np.clip(inputs.labels[rows] * 0.6 + rng.normal(0.2, 0.18, len(rows)), 0, 1)
    votes = np.clip((score[:, None] * 4 + rng.normal(0, 0.4, (len(rows), AGENTS))).astype(int), 0, 3)
    decisions = np.sort(votes, axis=1)[:, 2]
    record = evaluate_play(
        Played(rows=rows, decisions=decisions, score=score, votes=votes),
        Scene(
            dataset="made-up <data>",
            split=split,  # type: ignore[arg-type]
            labels=inputs.labels,
            split_rows=rows,
            rewards=REWARDS,
            f=1,
            split_summary={
                name: {"records": int((inputs.part == code).sum()), "threats": 0, "rate": 0.1}
                for code, name in enumerate(("train", "validation", "test"))
            },
            split_method="blocks",
            data_digest="made-up-digest",
            checkpoint="checkpoints/best.safetensors",
            iteration=88,
            trained_decisions=720_896,
            warnings=warnings,
        ),
        run_baselines(inputs, names, trees=TreeSettings(max_iter=30)),
        seconds=2.0,
    )
    return encode_evaluation(record)


def make_run(folder: Path, iterations: int = 100, names: tuple[str, ...] | None = None) -> Path:
    """A whole run folder; the folder must not exist."""
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(config(), encoding="utf-8")
    (folder / "metrics.jsonl").write_text(metrics_text(iterations), encoding="utf-8")
    neighbours = ("split by blocks puts neighbouring rows of one process on both sides",)
    (folder / "evaluation-test.json").write_bytes(evaluation("test", names, neighbours))
    (folder / "evaluation-validation.json").write_bytes(evaluation("validation", names))
    findings = [
        {
            "name": "label-rule",
            "severity": "warning",
            "what": "the column kind tells the label <almost> entirely",
            "evidence": {"column": "kind", "share": 0.91},
        },
        {"name": "constant", "severity": "info", "what": "2 columns never change", "evidence": {}},
    ]
    (folder / "audit.json").write_text(json.dumps({"findings": findings}), encoding="utf-8")
    return folder


if __name__ == "__main__":
    from custodes.report import write_report

    write_report(make_run(Path(sys.argv[1]), iterations=int(sys.argv[2]) if len(sys.argv) > 2 else 100))
