"""A small recording in the original's format, with a rule for a label that only the record before gives away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from custodes.doctor.origin import OriginSettings

RECORDS = 6000
SETTINGS = OriginSettings(
    iterations=6, rollout=512, hidden=8, epochs=1, episode=200, chunk=32, evaluated=300, learning_rate=1e-3
)
"""Counters begin anew at steps 200 and 400, so that the last 112 of 512 are logged."""


def small_recording(folder: Path) -> Path:
    """Write it. A record is malicious when the one before was large, and its type then is one of two."""
    rng = np.random.default_rng(0)
    size = rng.exponential(100.0, RECORDS)
    bad = np.roll(size > 220.0, 1)
    kinds = np.where(
        bad, rng.choice(["EVENT_MMAP", "EVENT_EXECUTE"], RECORDS), rng.choice(["EVENT_READ", "EVENT_WRITE"], RECORDS)
    )
    frame = pl.DataFrame(
        {
            "record_type": ["RECORD_EVENT"] * RECORDS,
            "timestamp_ns": np.arange(1, RECORDS + 1) * 1_000_000,
            "subject_uuid": [f"{int(i):032x}" for i in rng.integers(0, 40, RECORDS)],
            "object_uuid": [f"{int(i):032x}" for i in rng.integers(0, 400, RECORDS)],
            "event_type": kinds,
            "file_size": size,
            "sequence": rng.integers(0, 1000, RECORDS),
            "src_port": np.zeros(RECORDS, np.int64),
            "dst_port": np.zeros(RECORDS, np.int64),
            "ip_protocol": np.zeros(RECORDS, np.int64),
            "process_pid": rng.integers(0, 30, RECORDS),
            "process_ppid": np.zeros(RECORDS, np.int64),
            "is_suspicious": bad,
        }
    )
    path = folder / "small.parquet"
    frame.write_parquet(path)
    return path
