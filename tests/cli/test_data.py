from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from tests.cli.conftest import SMALL_FLAGS, custodes

SYNTHETIC = ["--preset", "quick", *SMALL_FLAGS[:8]]


def test_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTODES_DATA", str(tmp_path))
    (tmp_path / "carbanak-h3.parquet").write_bytes(b"")
    rows = {row["preset"]: row for row in json.loads(custodes("data", "list", "--json").out)["presets"]}
    assert set(rows) == {"carbanak", "nsl-kdd", "quick", "trace"}
    assert rows["carbanak"] == {
        "preset": "carbanak",
        "source": "edr",
        "split": "temporal",
        "files": ["carbanak-h3.parquet"],
        "found": [str(tmp_path / "carbanak-h3.parquet")],
    }
    assert rows["trace"]["found"] == []
    lines = custodes("data", "list").out.splitlines()
    assert [line.split()[3] for line in lines[2:] if not line.startswith(" ")] == ["yes", "no", "yes", "no"]


def test_split_prints_the_parts() -> None:
    done = custodes("data", "split", *SYNTHETIC, "--json")
    parts = json.loads(done.out)
    assert done.code == 0
    assert list(parts) == ["train", "validation", "test"]
    assert all(set(part) == {"records", "threats", "rate"} for part in parts.values())
    rows = json.loads(custodes("data", "split", *SYNTHETIC, "--split", "rows", "--json").out)
    assert rows != parts
    assert sum(part["records"] for part in rows.values()) == sum(part["records"] for part in parts.values())
    text = custodes("data", "split", *SYNTHETIC, "--split", "rows").out
    assert "split rows" in text
    assert f"{rows['train']['rate']:.2%}" in text
    assert "Note: neighbouring rows stand in different parts" in text


def test_the_original_s_split(shared_data: Path) -> None:
    parts = json.loads(
        custodes("data", "split", "--preset", "trace", "--data", shared_data, "--split", "rows", "--json").out
    )
    expected = {"train": 349_999, "validation": 75_000, "test": 75_001}
    for name, records in expected.items():
        assert abs(parts[name]["records"] - records) <= 1
        assert parts[name]["rate"] == pytest.approx(0.1093, abs=0.00005)
    blocks = json.loads(custodes("data", "split", "--preset", "trace", "--data", shared_data, "--json").out)
    assert all(part["rate"] == pytest.approx(0.1093, abs=0.005) for part in blocks.values())


@pytest.mark.parametrize("preset", ["carbanak", "nsl-kdd", "trace"])
def test_every_preset_finds_its_recording(shared_data: Path, monkeypatch: pytest.MonkeyPatch, preset: str) -> None:
    monkeypatch.setenv("CUSTODES_DATA", str(shared_data))
    parts = json.loads(custodes("data", "split", "--preset", preset, "--json").out)
    assert all(part["threats"] > 25 for part in parts.values())


def test_describe() -> None:
    described = json.loads(custodes("data", "describe", *SYNTHETIC, "--json").out)
    assert described["source"] == "synthetic"
    assert described["streams"] == 3
    text = custodes("data", "describe", *SYNTHETIC).out
    assert f"{described['records']:,}" in text
    assert "channel" in text


def test_convert_and_read_again(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    done = json.loads(custodes("data", "convert", out, *SYNTHETIC, "--json").out)
    assert done["path"] == str(out)
    assert done["records"] == pl.read_parquet(out).height
    assert "the file exists" in custodes("data", "convert", out, *SYNTHETIC).refusal
    assert custodes("data", "convert", out, *SYNTHETIC, "--overwrite").code == 0
    described = [json.loads(custodes("data", "describe", *how, "--json").out) for how in (SYNTHETIC, ["--data", out])]
    assert described[0]["counts"] == described[1]["counts"]


def test_audit() -> None:
    result = json.loads(custodes("data", "audit", *SYNTHETIC, "--no-trees", "--json").out)
    assert (result["dataset"], result["split"]) == ("synthetic", "entity")
    assert all(set(finding) == {"name", "severity", "what", "evidence"} for finding in result["findings"])
    assert not any(finding["name"] == "trees" for finding in result["findings"])
    assert result["findings"]
    text = custodes("data", "audit", *SYNTHETIC, "--no-trees").out
    assert text.startswith("synthetic, split entity: ")
    assert custodes("data", "audit", *SYNTHETIC, "--split", "rows", "--no-trees").out.startswith(
        "synthetic, split rows: "
    )
    assert all(finding["name"] in text for finding in result["findings"])


def test_audit_of_a_run_is_in_its_report(a_run: Path, tmp_path: Path) -> None:
    done = custodes("data", "audit", "--run", a_run, "--no-trees", "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == json.loads((a_run / "audit.json").read_text())
    assert custodes("report", a_run).code == 0
    assert json.loads(done.out)["findings"][0]["name"] in (a_run / "report.html").read_text()
    other = tmp_path / "other.parquet"
    assert custodes("data", "convert", other, *SYNTHETIC, "--set", "data.synthetic.seed=9").code == 0
    refused = custodes("data", "audit", "--run", a_run, "--data", other)
    assert "not the data that the run was trained on" in refused.refusal
    assert "leave out all flags" in custodes("data", "audit", "--run", a_run, "--preset", "quick").refusal
    assert json.loads(done.out) == json.loads((a_run / "audit.json").read_text())


def test_rejects_are_kept(tmp_path: Path) -> None:
    good, rejects = tmp_path / "good.csv", tmp_path / "rejects.jsonl"
    text = "".join(f"{time},s,p{time % 3},file,read,{time % 2}\n" for time in range(100))
    good.write_text("time,stream,entity,channel,kind,label\n" + text + "notatime,s,p,file,read,0\n" * 2)
    assert "2 of 102 lines are malformed" in custodes("data", "describe", "--data", good).refusal
    flags = ["--max-rejects", 0.05, "--rejects", rejects, "--json"]
    assert json.loads(custodes("data", "describe", "--data", good, *flags).out)["rejected"] == 2
    assert [json.loads(line)["line"] for line in rejects.read_text().splitlines()] == [102, 103]


@pytest.mark.parametrize("command", ["describe", "split", "audit", "convert"])
def test_lines_left_out_are_told(tmp_path: Path, command: str) -> None:
    data, rejects = tmp_path / "some.csv", tmp_path / "rejects.jsonl"
    text = "".join(f"{time},s,p{time % 30},file,read,{time % 2},{time % 5}\n" for time in range(200))
    data.write_text("time,stream,entity,channel,kind,label,size\n" + text + "notatime,s,p,file,read,0,1\n" * 2)
    target = [tmp_path / "out.parquet", "--overwrite"] if command == "convert" else []
    more = ["--split", "rows", "--no-trees"][: {"split": 2, "audit": 3}.get(command, 0)]
    flags = ["data", command, *target, "--data", data, *more, "--max-rejects", 0.05]
    for form in ([], ["--json"]):
        done = custodes(*flags, *form)
        assert done.code == 0, done.err
        assert done.err.splitlines()[0] == "2 malformed lines left out (name --rejects FILE to keep them)"
        kept = custodes(*flags, *form, "--rejects", rejects)
        assert kept.err.splitlines()[0] == f"2 malformed lines left out (kept in {rejects})"
        assert kept.out == done.out
    assert [json.loads(line)["line"] for line in rejects.read_text().splitlines()] == [202, 203]
    again = custodes(*flags, "--rejects", data).refusal
    assert "the rejects would overwrite a file that is read or written here" in again


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["split"], "data.path: no recording was named; give one with --data PATH, or a --preset"),
        (["split", "--preset", "nope"], "--preset: unknown preset 'nope'; known: carbanak, nsl-kdd, quick, trace"),
        (
            ["split", "--preset", "quick", "--set", "rl.gamma=1"],
            "--set rl.gamma=1: only settings of the data count here",
        ),
        (["split", "--preset", "quick", "--set", "data.splt=rows"], "data.splt: unknown setting; did you mean split?"),
        (["split", "--preset", "quick", "--split", "odd"], "data.split: unknown value 'odd'; known: rows, blocks"),
        (["describe", "--data", "none.csv"], "--data none.csv: no such file"),
    ],
)
def test_refusals(args: list[str], line: str) -> None:
    assert custodes("data", *args).refusal.startswith(line)


def test_data_commands_load_no_torch() -> None:
    code = (
        "import sys; from custodes.cli.entry import run; "
        f"code = run(['data', 'split', *{SYNTHETIC!r}, '--json']); print(code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 False"
