"""How fast records become inputs: `python -m benchmarks.data [PATH] --json`.

Times each stage alone, on the whole file and on its first half and quarter, so that the cost per record can be
compared: `load` (file to checked event table, digest included), `fit` (encoder on the training part of split
`blocks`) and `transform` (all records to inputs). Each figure is the median over repeats by the wall clock; `cpu` is
the process's own time, all threads together, which other load on the machine stretches less. `features_per_second`
counts records from file to inputs, load and transform together; fitting is done once per run and stands apart.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl

from custodes.data.config import DataConfig
from custodes.data.features import Encoder
from custodes.data.reader import load
from custodes.data.split import split
from custodes.errors import CustodesError

SHARES = (0.25, 0.5, 1.0)
T = TypeVar("T")
ORIGINAL = ("sequence", "src_port", "dst_port", "ip_protocol", "size", "process_pid", "process_ppid")


def default_path() -> Path:
    """The recording beside the checkout, or in the folder that CUSTODES_DATA names."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    return Path(os.environ.get("CUSTODES_DATA", beside)) / "darpa-tc-e5-trace.parquet"


def timed(act: Callable[[], T], repeats: int) -> tuple[T, dict[str, float]]:
    """Result of `act`, and its median time over `repeats` calls after one to warm up, in seconds."""
    wall, cpu = [], []
    result = act()
    for _ in range(repeats):
        begin = time.perf_counter(), time.process_time()
        result = act()
        wall.append(time.perf_counter() - begin[0])
        cpu.append(time.process_time() - begin[1])
    return result, {"seconds": round(statistics.median(wall), 4), "cpu": round(statistics.median(cpu), 4)}


def measure_one(config: DataConfig, repeats: int) -> dict[str, object]:
    """Stages of one file with one choice of inputs."""
    dataset, reading = timed(lambda: load(config), repeats)
    rows = split(dataset, config).rows("train")
    encoder, fitting = timed(lambda: Encoder.fit(dataset, rows, config), repeats)
    inputs, transforming = timed(lambda: encoder.transform(dataset), repeats)
    if not np.isfinite(inputs).all():
        raise CustodesError("an input is not finite", where=config.path, fix="report this as a defect")
    together = reading["seconds"] + transforming["seconds"]
    return {
        "records": len(dataset),
        "inputs": inputs.shape[1],
        "load": reading,
        "fit": fitting,
        "transform": transforming,
        "load_per_second": round(len(dataset) / reading["seconds"]),
        "features_per_second": round(len(dataset) / together),
        "features_per_second_cpu": round(len(dataset) / (reading["cpu"] + transforming["cpu"])),
        "microseconds_per_record": round(1e6 * together / len(dataset), 3),
    }


def measure(path: Path, shares: Sequence[float], repeats: int) -> dict[str, object]:
    """All sizes, with the original's seven columns (where the file is source `trace`) and with the default groups."""
    whole = load(DataConfig(path=str(path)))
    choices = {"default": DataConfig()}
    if whole.source == "trace":
        choices = {"original": DataConfig(groups=("numeric",), columns=ORIGINAL), **choices}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for share in shares:
            piece = Path(folder) / f"{share}.parquet"
            pl.scan_parquet(path).head(round(share * len(whole))).sink_parquet(piece)
            for name, config in choices.items():
                rows.append({"choice": name, **measure_one(replace(config, path=str(piece)), repeats)})
    return {"file": path.name, "threads": pl.thread_pool_size(), "polars": pl.__version__, "rows": rows}


def main() -> int:
    """Print the measurements, as a table or as one JSON object."""
    parser = argparse.ArgumentParser(description="Speed from a Parquet file to inputs.")
    parser.add_argument(
        "path", nargs="?", type=Path, default=default_path(), help="Parquet file that custodes can read"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    try:
        result = measure(options.path, SHARES, options.repeats)
    except CustodesError as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(result))
        return 0
    rows = result["rows"]
    assert isinstance(rows, list)
    for row in rows:
        stages = ", ".join(f"{name} {row[name]['seconds']:.3f} s" for name in ("load", "fit", "transform"))
        print(
            f"{row['choice']:8} {row['records']:8} records, {row['inputs']:3} inputs: {stages}; "
            f"{row['features_per_second'] / 1e6:.2f} M records/s to inputs, {row['microseconds_per_record']} us each"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
