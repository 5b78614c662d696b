"""Conversion: the same events come back, a failure leaves what was there, memory stays bounded."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from custodes.data import convert as convert_package
from custodes.data.config import DataConfig
from custodes.data.convert import convert
from custodes.data.reader import load
from custodes.errors import CustodesError
from tests.data.samples import cdm_records, table
from tests.data.test_sources import EDR, TRACE


def _trip(config: DataConfig, out: Path) -> None:
    made = convert(config, out)
    before, after = load(config), load(DataConfig(path=str(out), source="table"))
    assert (made.records, made.source, made.rejected) == (len(before), before.source, 0)
    assert after.digest == before.digest
    assert after.recorded_order == before.recorded_order
    assert [path.name for path in out.parent.glob(".*.part")] == []


def test_every_source_comes_back_as_the_same_table(tmp_path: Path) -> None:
    TRACE.write_parquet(tmp_path / "trace.parquet")
    EDR.write_csv(tmp_path / "edr.csv")
    table(300).write_ndjson(tmp_path / "table.jsonl")
    (tmp_path / "cdm.json").write_text("".join(json.dumps(record) + "\n" for record in cdm_records(20)))
    for name in ("trace.parquet", "edr.csv", "table.jsonl", "cdm.json"):
        _trip(DataConfig(path=str(tmp_path / name)), tmp_path / f"{name}.out")
    both = DataConfig(path=str(tmp_path / "table.jsonl"), test_path=str(tmp_path / "table.jsonl"))
    convert(both, tmp_path / "both.parquet")
    assert pl.read_parquet(tmp_path / "both.parquet")["part"].to_list() == [0] * 300 + [2] * 300


def test_the_real_recording_comes_back(shared_data: Path, tmp_path: Path) -> None:
    _trip(DataConfig(path=str(shared_data / "nsl-kdd-test.parquet")), tmp_path / "flows.parquet")
    _trip(DataConfig(path=str(shared_data / "darpa-tc-e5-trace.parquet")), tmp_path / "trace.parquet")


def test_what_load_refuses_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    out.write_bytes(b"old")
    table(200, streams=1).reverse().write_csv(tmp_path / "late.csv")
    with pytest.raises(CustodesError, match="time steps back at line 3"):
        convert(DataConfig(path=str(tmp_path / "late.csv")), out, overwrite=True)
    (tmp_path / "bad.jsonl").write_text("\n".join([*table(9).write_ndjson().splitlines(), "no"]) + "\n")
    with pytest.raises(CustodesError, match="1 of 10 lines are malformed"):
        convert(DataConfig(path=str(tmp_path / "bad.jsonl")), out, overwrite=True)
    assert out.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jsonl", "late.csv", "out.parquet"]


def test_a_fault_in_a_late_batch_keeps_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custodes.data.sources.lines.CHUNK_LINES", 16)
    late = table(100, streams=1).with_columns(time=pl.when(pl.int_range(pl.len()) == 80).then(1).otherwise("time"))
    late.write_csv(tmp_path / "late.csv")
    with pytest.raises(CustodesError) as caught:
        convert(DataConfig(path=str(tmp_path / "late.csv")), tmp_path / "out.parquet")
    assert f"{tmp_path / 'late.csv'}: time steps back at line 82 of stream 'host-0'" in str(caught.value)
    assert not (tmp_path / "out.parquet").exists()


def test_targets_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "x.parquet"
    table().write_parquet(source)
    config = DataConfig(path=str(source))
    with pytest.raises(CustodesError, match="the output is the input"):
        convert(config, source, overwrite=True)
    with pytest.raises(CustodesError, match="not a file in an existing folder"):
        convert(config, tmp_path / "absent" / "out.parquet")
    convert(config, tmp_path / "out.parquet")
    with pytest.raises(CustodesError, match="the file exists; name another file or give --overwrite"):
        convert(config, tmp_path / "out.parquet")


def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    out = tmp_path / "out.parquet"
    out.write_bytes(b"old")
    table().write_parquet(tmp_path / "x.parquet")
    monkeypatch.setattr(sys.modules[convert_package.__module__], "_flush", full)
    with pytest.raises(CustodesError, match="cannot write: No space left on device"):
        convert(DataConfig(path=str(tmp_path / "x.parquet")), out, overwrite=True)
    assert out.read_bytes() == b"old"


def test_a_disk_that_fills_up_while_rows_are_written_is_no_damaged_input(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    out.write_bytes(b"old")
    table(20_000).write_parquet(tmp_path / "x.parquet")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(CustodesError, match=r"out\.parquet: cannot write: .*; check space and permissions"):
            convert(DataConfig(path=str(tmp_path / "x.parquet")), out, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert out.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.parquet", "x.parquet"]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that not even root may write to")
def test_a_folder_that_is_read_only_is_no_damaged_input(tmp_path: Path) -> None:
    table().write_parquet(tmp_path / "x.parquet")
    with pytest.raises(CustodesError, match=r"out\.parquet: cannot write: "):
        convert(DataConfig(path=str(tmp_path / "x.parquet")), Path("/proc/self/out.parquet"))


_PEAK = """
import resource, sys
from pathlib import Path
from custodes.data.config import DataConfig
from custodes.data.convert import convert
from custodes.data.describe import describe
config = DataConfig(path=sys.argv[1])
records = describe(config)["records"] if sys.argv[2] == "describe" else convert(config, Path(sys.argv[2])).records
print(records, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def _peak(source: Path, what: str) -> tuple[int, int]:
    """Records that a fresh process saw, and the most memory that it held [MiB]."""
    done = subprocess.run([sys.executable, "-c", _PEAK, str(source), what], capture_output=True, text=True, check=True)
    records, peak = done.stdout.split()
    return int(records), int(peak)


def _long_file(path: Path, copies: int) -> float:
    """Write a table of 50,000 rows per copy; returns its size in memory [MiB]."""
    piece = table(50_000, entities=50).with_columns(object=pl.col("object") + "/" + "x" * 300)
    parts = [piece.lazy().with_columns(pl.col("time") + k * 50_000_000_000_000) for k in range(copies)]
    if path.suffix == ".csv":
        pl.concat(parts).sink_csv(path)
    else:
        pl.concat(parts).sink_parquet(path, row_group_size=50_000)
    return piece.estimated_size("mb") * copies


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "action", "copies"), [("parquet", "convert", 16), ("parquet", "describe", 16), ("csv", "describe", 2)]
)
def test_memory_does_not_grow_with_the_file(tmp_path: Path, suffix: str, action: str, copies: int) -> None:
    """A file four times as long takes little more memory; held whole it would take all of the difference."""
    peaks, sizes = [], []
    for factor in (1, 4):
        path = tmp_path / f"{factor}.{suffix}"
        sizes.append(_long_file(path, factor * copies))
        records, peak = _peak(path, "describe" if action == "describe" else str(tmp_path / f"out-{factor}"))
        assert records == 50_000 * factor * copies
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 0.4 * (sizes[1] - sizes[0]), (peaks, sizes)
