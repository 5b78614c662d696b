"""How hard the synthetic recording is: boosted trees without and with context, by stealth, split and seed.

`python -m benchmarks.synthetic --json` prints one JSON object; without `--json`, a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from custodes.data.synthetic import SyntheticConfig, generate

STEALTH = (0.2, 0.5, 0.8)
LAGS = 8
PARTS = (0.7, 0.85)


def event_features(events: pl.DataFrame) -> NDArray[np.float32]:
    """One-hots of channel, kind and object kind, log size, log seconds since the entity's previous event [N, D]."""
    hots = [np.asarray(events[name].to_dummies().to_numpy()) for name in ("channel", "kind", "object_kind")]
    gap = events.select((pl.col("time") - pl.col("time").shift(1).over("entity")).fill_null(-1)).to_series().to_numpy()
    since = np.where(gap < 0, -1.0, np.log1p(np.maximum(gap, 0) / 1e6))
    size = np.log1p(events["size"].to_numpy())
    return np.hstack([*hots, size[:, None], since[:, None]]).astype(np.float32)


def with_lags(features: NDArray[np.float32], entity: NDArray[np.int64], lags: int = LAGS) -> NDArray[np.float32]:
    """Append the features of the entity's own previous events, zero where it has none [N, (lags + 1) D]."""
    order = np.argsort(entity, kind="stable")
    ranked, owner = features[order], entity[order]
    parts = [features]
    for lag in range(1, lags + 1):
        shifted = np.zeros_like(features)
        same = owner[lag:] == owner[:-lag]
        shifted[order[lag:][same]] = ranked[:-lag][same]
        parts.append(shifted)
    return np.hstack(parts)


def split_parts(events: pl.DataFrame, method: str, seed: int) -> NDArray[np.int64]:
    """0 train, 1 validation, 2 test: 70 / 15 / 15 % of the rows by time, or of the entities at random."""
    if method == "temporal":
        place = np.arange(len(events)) / len(events)
        return np.asarray(np.digitize(place, PARTS))
    code = events["entity"].rank("dense").to_numpy() - 1
    draw = np.random.default_rng(seed).permutation(int(code.max()) + 1) / (int(code.max()) + 1)
    return np.asarray(np.digitize(draw, PARTS)[code])


def best_threshold(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """Score at or above which F1 is highest."""
    order = np.argsort(-scores)
    hits = np.cumsum(labels[order])
    f1 = 2 * hits / (np.arange(1, order.size + 1) + labels.sum())
    return float(scores[order][int(f1.argmax())])


def f1_score(labels: NDArray[np.int64], flagged: NDArray[np.bool_]) -> float:
    """F1 of the malicious class; 0 when nothing is right."""
    return float(2 * (flagged & (labels == 1)).sum() / max(int(flagged.sum() + labels.sum()), 1))


def tree_f1(features: NDArray[np.float32], labels: NDArray[np.int64], part: NDArray[np.int64], seed: int) -> float:
    """Test F1 of a boosted tree, its threshold tuned on validation."""
    tree = HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=seed)
    tree.fit(features[part == 0], labels[part == 0])
    threshold = best_threshold(labels[part == 1], tree.predict_proba(features[part == 1])[:, 1])
    return f1_score(labels[part == 2], tree.predict_proba(features[part == 2])[:, 1] >= threshold)


def measure(config: SyntheticConfig) -> dict[str, float]:
    """Generate one recording and score the trees on it."""
    began = time.perf_counter()
    events = generate(config)
    seconds = time.perf_counter() - began
    labels = events["label"].to_numpy().astype(np.int64)
    single = event_features(events)
    context = with_lags(single, events["entity"].rank("dense").to_numpy().astype(np.int64))
    out = {"threat_rate": float(labels.mean()), "events_per_second": len(events) / seconds}
    for method in ("entity", "temporal"):
        part = split_parts(events, method, config.seed)
        out[f"{method}_single"] = tree_f1(single, labels, part, config.seed)
        out[f"{method}_context"] = tree_f1(context, labels, part, config.seed)
    return out


def summary(rows: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Mean, lowest and highest of each number over the seeds."""
    return {
        key: {
            "mean": float(np.mean([row[key] for row in rows])),
            "min": min(row[key] for row in rows),
            "max": max(row[key] for row in rows),
        }
        for key in rows[0]
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds, from 0")
    parser.add_argument("--stealth", type=float, nargs="+", default=STEALTH, help="levels of stealth")
    parser.add_argument("--events", type=int, default=SyntheticConfig().events, help="events of each recording")
    options = parser.parse_args(arguments)
    result = {}
    for stealth in options.stealth:
        rows = []
        for seed in range(options.seeds):
            rows.append(measure(SyntheticConfig(stealth=stealth, seed=seed, events=options.events)))
            print(f"stealth {stealth:g}, seed {seed}: {rows[-1]}", file=sys.stderr, flush=True)
        result[f"{stealth:g}"] = summary(rows)
    if options.json:
        print(json.dumps({"seeds": options.seeds, "events": options.events, "stealth": result}))
        return
    names = list(next(iter(result.values())))
    print("| stealth | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1))
    for stealth, row in result.items():
        cells = [f"{row[n]['mean']:.4g} ({row[n]['min']:.4g}-{row[n]['max']:.4g})" for n in names]
        print(f"| {stealth} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
