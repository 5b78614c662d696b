"""Looking back inside a key, against a double loop."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from custodes.data.features.segments import Runs, codes, pair

Rows = list[tuple[int, bool]]
ROWS = st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=30)


def _runs(rows: Rows) -> tuple[Runs, np.ndarray]:
    return Runs(key=np.array([key for key, _ in rows], dtype=np.int64)), np.array(
        [held for _, held in rows], dtype=bool
    )


def _earlier(rows: Rows, i: int) -> list[int]:
    return [j for j in range(i) if rows[j][0] == rows[i][0]]


@given(ROWS)
def test_position_and_first_match_a_scan(rows: Rows) -> None:
    runs, _ = _runs(rows)
    assert runs.position().tolist() == [len(_earlier(rows, i)) for i in range(len(rows))]
    assert runs.first().tolist() == [(_earlier(rows, i) or [i])[0] for i in range(len(rows))]


@given(ROWS)
def test_previous_matches_a_scan(rows: Rows) -> None:
    runs, held = _runs(rows)
    everything = [(_earlier(rows, i) or [-1])[-1] for i in range(len(rows))]
    assert runs.previous().tolist() == everything
    masked = [([j for j in _earlier(rows, i) if held[j]] or [-1])[-1] for i in range(len(rows))]
    assert runs.previous(held).tolist() == masked


@given(ROWS, st.integers(1, 5))
def test_counts_match_a_scan(rows: Rows, window: int) -> None:
    runs, held = _runs(rows)
    members = [[*_earlier(rows, i), i] for i in range(len(rows))]
    assert runs.count(held).tolist() == [sum(bool(held[j]) for j in mine) for mine in members]
    assert runs.trailing(held, window).tolist() == [sum(bool(held[j]) for j in mine[-window:]) for mine in members]


@given(ROWS, st.integers(1, 5))
def test_shift_matches_a_scan(rows: Rows, steps: int) -> None:
    runs, _ = _runs(rows)
    values = np.arange(1.0, len(rows) + 1)
    earlier = [_earlier(rows, i) for i in range(len(rows))]
    wanted = [values[mine[-steps]] if len(mine) >= steps else 0.0 for mine in earlier]
    assert runs.shift(values, steps).tolist() == wanted


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b", "é"]), st.sampled_from(["a", "c"])), max_size=12))
def test_codes_are_equal_for_equal_strings_only(rows: list[tuple[str, str]]) -> None:
    columns = [pl.Series("left", [a for a, _ in rows], pl.String), pl.Series("right", [b for _, b in rows], pl.String)]
    left, right = codes(*columns)
    words = [*columns[0], *columns[1]]
    numbers = [*left.tolist(), *right.tolist()]
    assert len(numbers) == 2 * len(rows)
    assert len(set(numbers)) == len(set(words)) == len(set(zip(words, numbers, strict=True)))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=20))
def test_pair_is_one_key_per_pair(rows: list[tuple[int, int]]) -> None:
    left, right = (np.array([row[side] for row in rows], dtype=np.int64) for side in (0, 1))
    assert len(set(zip(pair(left, right).tolist(), rows, strict=True))) == len(set(rows))
    assert len(set(pair(left, right).tolist())) == len(set(rows))
