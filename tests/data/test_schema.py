"""The event table's checks and digest against their definitions."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.data.schema import EVENT_SCHEMA, digest, extra_columns, steps_back, validate
from custodes.errors import CustodesError
from tests.data.samples import table


def test_a_valid_table_passes() -> None:
    validate(table(), where="x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pl.col("size").replace_strict({}, default=None, return_dtype=pl.Float64), "column size is null at row 0"),
        (
            pl.when(pl.int_range(pl.len()) == 7).then(float("nan")).otherwise("size").alias("size"),
            "size is not finite at row 7",
        ),
        (
            pl.when(pl.int_range(pl.len()) == 9).then(float("inf")).otherwise("load").alias("load"),
            "load is not finite at row 9",
        ),
        (pl.lit(7, dtype=pl.Int8).alias("label"), "column label is 7, not one of -1, 0, 1, 2 at row 0"),
        (pl.lit("disk").alias("channel"), "column channel is 'disk', not one of file, registry"),
        (pl.lit(3, dtype=pl.Int8).alias("part"), "column part is 3, not one of 0, 1, 2"),
        (pl.col("time").cast(pl.Float64), "column time is Float64, not Int64"),
        (pl.lit("a").alias("more"), "pass-through column more is String, not a number"),
    ],
)
def test_a_fault_is_named_with_its_column_and_row(change: pl.Expr, message: str) -> None:
    with pytest.raises(CustodesError) as caught:
        validate(table().with_columns(change), where="file.csv")
    assert message in str(caught.value)
    assert str(caught.value).startswith("file.csv: ")
    assert "\n" not in str(caught.value)


def test_missing_columns_are_named() -> None:
    with pytest.raises(CustodesError, match="column entity, kind is missing"):
        validate(table().drop("entity", "kind"), where="x")


def test_extra_columns_are_the_numeric_ones_beyond_the_schema() -> None:
    assert extra_columns(table().schema) == ("load",)


def test_digest_is_what_its_definition_says() -> None:
    frame = pl.DataFrame({"n": [1, -2], "s": ["ä", ""], "f": [0.5, 2.0], "c": ["x", "x"]})
    total = hashlib.sha256()
    numbers = hashlib.sha256(struct.pack("<qq", 1, -2)).digest()
    words = hashlib.sha256(struct.pack("<II", 2, 0) + "ä".encode()).digest()
    floats = hashlib.sha256(struct.pack("<dd", 0.5, 2.0)).digest()
    one = hashlib.sha256(struct.pack("<I", 1) + b"x").digest()
    same = hashlib.sha256(b"throughout;" + one).digest()
    heads = ("n:Int64:2;", "s:String:2;", "f:Float64:2;", "c:String:2;")
    for head, inner in zip(heads, (numbers, words, floats, same), strict=True):
        total.update(head.encode() + inner)
    assert digest(frame) == total.hexdigest()


@given(st.integers(0, 59), st.sampled_from(sorted(EVENT_SCHEMA)))
def test_digest_sees_every_value(row: int, name: str) -> None:
    events = table()
    other: object = "changed" if EVENT_SCHEMA[name] == pl.String else 99
    changed = events.with_columns(
        pl.when(pl.int_range(pl.len()) == row).then(pl.lit(other, dtype=EVENT_SCHEMA[name])).otherwise(name).alias(name)
    )
    assert digest(changed) != digest(events)
    assert digest(pl.concat([events.head(13), events.tail(47)])) == digest(events)


def test_digest_tells_where_one_string_ends() -> None:
    assert digest(pl.DataFrame({"a": ["ab", "c"]})) != digest(pl.DataFrame({"a": ["a", "bc"]}))


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(-3, 3)), min_size=1, max_size=40),
    st.integers(0, 40),
)
def test_steps_back_against_a_loop_in_one_or_two_batches(rows: list[tuple[str, int]], cut: int) -> None:
    frame = pl.DataFrame(rows, schema={"stream": pl.String, "time": pl.Int64}, orient="row")
    latest: dict[str, int] = {}
    expected = []
    for stream, time in rows:
        expected.append(time != 0 and stream in latest and time < latest[stream])
        if time != 0:
            latest[stream] = time
    carried: dict[str, int] = {}
    pieces = [steps_back(part, carried) for part in (frame.head(cut), frame.slice(cut)) if part.height]
    assert np.concatenate([piece.to_numpy() for piece in pieces]).tolist() == expected
    assert carried == latest
