"""Traces from files: what is read, and what is refused with its place."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from custodes.stl.errors import StlError
from custodes.stl.parser import parse
from custodes.stl.specfile import SpecFile, parse_specs
from custodes.stl.traces import Row, formula_in_samples, make_regular, open_rows, read_table, stream_regular

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def specs(head: str = "", formula: str = "G(x > 0)") -> SpecFile:
    return parse_specs(f'{head}\n[[spec]]\nname = "a"\nformula = "{formula}"')


def test_csv_columns(write: Write) -> None:
    path = write("a.csv", "time,x,note,on\n0,1.5,hello,true\n1,,,False\n\n2,NaN,1,1\n")
    table = read_table(path, ["x", "on"])
    assert table.times_ns is not None
    assert table.times_ns.tolist() == [0, 10**9, 2 * 10**9]
    assert table.columns["x"].tolist()[:1] == [1.5]
    assert np.isnan(table.columns["x"]).tolist() == [False, True, True]
    assert table.columns["on"].tolist() == [1.0, 0.0, 1.0]
    assert set(table.columns) == {"x", "on"}


def test_numbers_are_read_exactly(write: Write) -> None:
    values = np.random.default_rng(0).normal(size=50) * 10.0 ** np.arange(-25, 25)
    text = "".join(f"{value!r}\n" for value in values.tolist())
    assert np.array_equal(read_table(write("a.csv", f"x\n{text}"), ["x"]).columns["x"], values)
    lines = "".join(f'{{"x": {value!r}}}\n' for value in values.tolist())
    assert np.array_equal(read_table(write("a.jsonl", lines), ["x"]).columns["x"], values)


@pytest.mark.parametrize(
    ("cell", "unit", "expected"),
    [
        ("0.1", "s", 100_000_000),
        ("1700000000.123456789", "s", 1_700_000_000_123_456_789),
        ("5", "ms", 5_000_000),
        ("1e3", "ns", 1_000),
        ("1970-01-01T00:00:01.5Z", "s", 1_500_000_000),
        ("1970-01-01 00:00:01.123456789", "s", 1_123_456_789),
        ("1970-01-01T01:00:00+01:00", "s", 0),
        ("-2", "s", -2_000_000_000),
    ],
)
def test_times_are_exact(write: Write, cell: str, unit: str, expected: int) -> None:
    times = read_table(write("a.csv", f"time,x\n{cell},1\n"), ["x"], time_unit=unit).times_ns
    assert times is not None
    assert times.tolist() == [expected]


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame(
        {
            "time": pl.Series([0, 500], dtype=pl.Datetime("ms")),
            "x": [1, None],
            "on": [True, False],
            "name": ["a", "b"],
        }
    ).write_parquet(path)
    table = read_table(path, ["x", "on"])
    assert table.times_ns is not None
    assert table.times_ns.tolist() == [0, 500_000_000]
    assert table.columns["x"].tolist()[0] == 1.0
    assert math.isnan(table.columns["x"][1])
    assert table.columns["on"].tolist() == [1.0, 0.0]
    with pytest.raises(StlError, match="column 'name': it holds String, not numbers"):
        read_table(path, ["name"])
    with pytest.raises(StlError, match="there is no column 'onn', which a rule reads; did you mean 'on'"):
        read_table(path, ["onn"])
    pl.DataFrame({"time": [0.0, 0.1, 0.2], "x": [1.0, 2.0, 3.0]}).write_parquet(path)
    floats = read_table(path, ["x"]).times_ns
    assert floats is not None
    assert floats.tolist() == [0, 100_000_000, 200_000_000]
    path.write_text("not this")
    with pytest.raises(StlError, match="no Parquet"):
        read_table(path, ["x"])


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.csv", "time,xx\n0,1\n", "there is no column 'x', which a rule reads; did you mean 'xx'?"),
        ("a.csv", "time,other\n0,1\n", "the columns are time, other"),
        ("a.csv", "x\n1\n2\nthree\n", "line 4, column 'x': 'three' is no number"),
        ("a.csv", "x\n1_000\n", "line 2, column 'x': '1_000' is no number"),
        ("a.csv", "x,y\n1,2\n1\n", "line 3: 1 cells, not 2 as in the header"),
        ("a.csv", 'x\n"1\n', "no CSV"),
        ("a.csv", "x,x\n1,2\n", "two columns are named 'x'"),
        ("a.csv", "x\n", "the trace is empty"),
        ("a.csv", "", "the trace is empty"),
        ("a.csv", "time,x\nnoon,1\n", "line 2, column 'time': 'noon' is neither a number nor a date and time"),
        ("a.csv", "time,x\n,1\n", "line 2, column 'time': there is no time"),
        ("a.csv", "time,x\n1e30,1\n", "is no time in range"),
        ("a.csv", "time,x\ninf,1\n", "is no time in range"),
        ("a.jsonl", '{"x": 1}\n{"x": }\n', "line 2: no JSON object"),
        ("a.jsonl", '{"x": 1}\n[1]\n', "line 2: no JSON object"),
        ("a.jsonl", '{"x": [1]}\n', "line 1, column 'x': '[1]' is no number"),
        ("a.jsonl", '{"y": 1}\n', "there is no column 'x'"),
        ("a.jsonl", '{"x": 1' + "0" * 400 + "}\n", "line 1"),
        ("a.txt", "x\n1\n", "use .csv, .jsonl, .parquet"),
    ],
)
def test_what_cannot_be_read_is_refused(write: Write, name: str, text: str, line: str) -> None:
    with pytest.raises(StlError) as caught:
        read_table(write(name, text), ["x"])
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(StlError, match=r"none\.csv: cannot be read: no such file"):
        read_table(tmp_path / "none.csv", ["x"])
    with pytest.raises(StlError, match=r"none\.parquet: cannot be read: no such file"):
        read_table(tmp_path / "none.parquet", ["x"])
    path = tmp_path / "a.csv"
    path.write_bytes(b"x\n\xff\xfe\n")
    with pytest.raises(StlError, match="is not UTF-8"):
        read_table(path, ["x"])


def test_standard_input_is_read_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    def lines() -> Iterator[str]:
        for each in range(3):
            taken.append(each)
            yield f'{{"x": {each}}}\n'

    monkeypatch.setattr("sys.stdin", lines())
    with open_rows("-", ["x"]) as rows:
        assert next(rows) == Row(1, None, (0.0,))
        assert taken == [0]
        assert [row.values for row in rows] == [(1.0,), (2.0,)]
    monkeypatch.setattr("sys.stdin", io.StringIO("oops\n"))
    with pytest.raises(StlError, match="standard input, line 1: no JSON object"):
        read_table("-", ["x"])


def test_the_first_step_is_the_period(write: Write) -> None:
    trace = make_regular(read_table(write("a.csv", "time,x\n10,1\n12,2\n14,3\n"), ["x"]), specs())
    assert (trace.period_ns, trace.length, trace.unit) == (2 * 10**9, 3, "s")
    assert trace.times is not None
    assert trace.times.tolist() == [10.0, 12.0, 14.0]
    dated = make_regular(read_table(write("c.csv", "time,x\n2020-01-01,1\n2020-01-02,2\n"), ["x"]), specs())
    assert dated.times is not None
    assert (dated.times.tolist(), dated.unit) == ([0.0, 86_400.0], "s after the first sample")
    counted = make_regular(read_table(write("b.csv", "x\n1\n2\n"), ["x"]), specs('period = "1s"'))
    assert (counted.times, counted.period_ns) == (None, 10**9)


@pytest.mark.parametrize(
    ("times", "head", "line"),
    [
        ([0, 1, 3], "", "sample 2"),
        ([0, 0, 1], "", "the second time repeats the first one"),
        ([1, 0, 1], "", "the second time goes back"),
        ([0, 1, 1], "", "sample 2: has the time of the sample before it"),
        ([0, 1, 0], 'sampling = "samples"', "sample 2: goes back in time"),
        ([0, 2, 4], 'period = "1s"', "sample 1"),
    ],
)
def test_irregular_times_are_refused_whole_and_streaming(write: Write, times: list[int], head: str, line: str) -> None:
    path, file = write("a.csv", "time,x\n" + "".join(f"{time},1\n" for time in times)), specs(head)
    with pytest.raises(StlError) as caught:
        make_regular(read_table(path, ["x"]), file)
    assert line in str(caught.value)
    with pytest.raises(StlError, match=r"line [34]"), open_rows(path, ["x"]) as rows:
        list(stream_regular(rows, ["x"], file, str(path))[1])


@pytest.mark.parametrize("sampling", ["hold", "linear", "samples"])
def test_declared_sampling_is_the_same_whole_and_streaming(write: Write, sampling: str) -> None:
    path = write("a.csv", "time,x\n0,1\n1,3\n4,9\n5.5,2\n")
    file = specs(f'sampling = "{sampling}"\nperiod = "1s"')
    trace = make_regular(read_table(path, ["x"]), file)
    expected: dict[str, list[Any]] = {
        "hold": [1, 3, 3, 3, 9, 9],
        "linear": [1, 3, 5, 7, 9, pytest.approx(13 / 3)],
        "samples": [1, 3, 9, 2],
    }
    assert trace.signals["x"].tolist() == expected[sampling][: trace.length]
    assert trace.length == {"hold": 6, "linear": 6, "samples": 4}[sampling]
    with open_rows(path, ["x"]) as rows:
        period, samples = stream_regular(rows, ["x"], file, "a")
        assert period == 10**9
        assert [sample.values["x"] for sample in samples] == trace.signals["x"].tolist()


def test_units_need_a_period(write: Write) -> None:
    file = specs(formula="G(x > 0 -> F[0:4s] x > 1)")
    trace = make_regular(read_table(write("a.csv", "time,x\n0,1\n2,2\n"), ["x"]), file)
    assert formula_in_samples(file.specs[0], trace.period_ns, "a") == parse("G(x > 0 -> F[0,2] x > 1)")
    counted = make_regular(read_table(write("b.csv", "x\n1\n"), ["x"]), file)
    with pytest.raises(StlError, match="period"):
        formula_in_samples(file.specs[0], counted.period_ns, "a")


def test_standard_input_may_begin_with_a_byte_order_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('\ufeff{"x": 1}\n'))
    assert read_table("-", ["x"]).columns["x"].tolist() == [1.0]


def test_times_that_begin_later_are_refused(write: Write) -> None:
    path = write("a.jsonl", '{"x": 1}\n{"time": 1, "x": 1}\n')
    with pytest.raises(StlError, match="line 2, column 'time': the first line has no time, and this one has"):
        read_table(path, ["x"])
