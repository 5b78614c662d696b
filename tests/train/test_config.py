from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.errors import CustodesError
from custodes.train.config import RunConfig
from custodes.train.settings import apply_overrides, from_table, parse_toml, to_table, to_toml


@dataclass(frozen=True, kw_only=True)
class Inner:
    """A table."""

    rate: float = 0.5
    count: int = 3
    on: bool = False
    shares: tuple[float, float] = (0.5, 0.5)
    names: tuple[str, ...] = ()
    kind: Literal["a", "b"] = "a"

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate is {self.rate}, outside 0 to 1")
        if self.count == 13:
            raise ValueError("that is unlucky")


@dataclass(frozen=True, kw_only=True)
class Outer:
    """A document."""

    title: str
    inner: Inner = field(default_factory=Inner)


TEXT = st.text()
FLOATS = st.floats(0, 1)


@given(
    st.builds(
        Outer,
        title=TEXT,
        inner=st.builds(
            Inner,
            rate=FLOATS,
            count=st.integers(14, 2**63 - 1),
            on=st.booleans(),
            shares=st.tuples(FLOATS, FLOATS),
            names=st.lists(TEXT).map(tuple),
            kind=st.sampled_from(["a", "b"]),
        ),
    )
)
def test_text_and_back_is_the_same(settings: Outer) -> None:
    assert from_table(parse_toml(to_toml(to_table(settings)), "file"), Outer) == settings


@pytest.mark.parametrize("made", ["here", "from text"])
def test_a_run_survives_text_and_is_complete(made: str) -> None:
    config = RunConfig() if made == "here" else from_table({"data": {"synthetic": {"seed": 3}}}, RunConfig)
    table = parse_toml(to_toml(to_table(config)), "file")
    assert from_table(table, RunConfig) == config

    def complete(table: dict[str, Any], kind: Any) -> None:
        assert set(table) == {item.name for item in dataclasses.fields(kind)}
        for item in dataclasses.fields(kind):
            if dataclasses.is_dataclass(value := getattr(kind, item.name)):
                complete(table[item.name], value)

    complete(table, config)


def test_a_whole_number_is_a_number() -> None:
    settings = from_table({"title": "", "inner": {"rate": 1, "shares": [0, 1]}}, Outer)
    assert settings.inner == Inner(rate=1.0, shares=(0.0, 1.0))


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ({}, "f: title: this setting is missing; add it"),
        ({"title": 3}, "f: title: expected text, got a whole number; change it and try again"),
        ({"title": "", "inner": 3}, "f: inner: expected a table, got a whole number; change it and try again"),
        ({"title": "", "iner": {}}, "f: iner: unknown setting; did you mean inner?"),
        ({"title": "", "inner": {"ratte": 1}}, "f: inner.ratte: unknown setting; did you mean rate?"),
        (
            {"title": "", "inner": {"zzz": 1}},
            "f: inner.zzz: unknown setting; known: count, kind, names, on, rate, shares",
        ),
        ({"title": "", "inner": {"rate": "1"}}, "f: inner.rate: expected a number, got text; change it and try again"),
        (
            {"title": "", "inner": {"count": 1.5}},
            "f: inner.count: expected a whole number, got a number; change it and try again",
        ),
        (
            {"title": "", "inner": {"count": True}},
            "f: inner.count: expected a whole number, got true or false; change it and try again",
        ),
        (
            {"title": "", "inner": {"on": 1}},
            "f: inner.on: expected true or false, got a whole number; change it and try again",
        ),
        (
            {"title": "", "inner": {"shares": [1]}},
            "f: inner.shares: expected a list of length 2, got 1; change it and try again",
        ),
        (
            {"title": "", "inner": {"shares": [1, "x"]}},
            "f: inner.shares[1]: expected a number, got text; change it and try again",
        ),
        ({"title": "", "inner": {"kind": "c"}}, "f: inner.kind: unknown value 'c'; known: a, b"),
        ({"title": "", "inner": {"rate": 2}}, "f: inner.rate: is 2.0, outside 0 to 1; change it and try again"),
        ({"title": "", "inner": {"count": 13}}, "f: inner: that is unlucky; change it and try again"),
        ({"title": "", "inner": {"rate": math.nan}}, "f: inner.rate: nan is no usable number; give a finite one"),
        (
            {"title": "", "inner": {"shares": [1.0, math.inf]}},
            "f: inner.shares: inf is no usable number; give a finite one",
        ),
    ],
)
def test_a_wrong_setting_is_named(table: dict[str, Any], line: str) -> None:
    with pytest.raises(CustodesError) as caught:
        from_table(table, Outer, where="f")
    assert str(caught.value) == line


def test_a_prefix_stands_before_the_key() -> None:
    with pytest.raises(CustodesError, match=r"^data\.rate: is 2\.0"):
        from_table({"rate": 2}, Inner, prefix="data")


@pytest.mark.parametrize(
    "table",
    [
        {"seed": -1},
        {"rl": {"gamma": 1.5}},
        {"team": {"agents": 0}},
        {"train": {"decisions": 0}},
        {"train": {"iterations": -1}},
        {"train": {"device": "tpu"}},
        {"train": {"threads": 0}},
        {"env": {"lanes": "diagonal"}},
        {"env": {"slots": 0}},
        {"env": {"window": -1}},
        {"data": {"split": "none"}},
    ],
)
def test_a_run_refuses_values_out_of_range(table: dict[str, Any]) -> None:
    first, value = next(iter(table.items()))
    place = f"{first}.{next(iter(value))}" if isinstance(value, dict) else first
    with pytest.raises(CustodesError, match=f"^{place}: "):
        from_table(table, RunConfig)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("a.b=1", {"a": {"b": 1, "c": 2}}),
        ("a.b = 1.5", {"a": {"b": 1.5, "c": 2}}),
        ("a.b=true", {"a": {"b": True, "c": 2}}),
        ("a.b=rows", {"a": {"b": "rows", "c": 2}}),
        ('a.b="1"', {"a": {"b": "1", "c": 2}}),
        ('a.b=["x", "y"]', {"a": {"b": ["x", "y"], "c": 2}}),
        ("a.b=../x=y.csv", {"a": {"b": "../x=y.csv", "c": 2}}),
        ("a.b=", {"a": {"b": "", "c": 2}}),
        ("a.b=1\nc=2", {"a": {"b": "1\nc=2", "c": 2}}),
        ("new.deep.key=1", {"a": {"b": 0, "c": 2}, "new": {"deep": {"key": 1}}}),
    ],
)
def test_overrides(override: str, expected: dict[str, Any]) -> None:
    table = {"a": {"b": 0, "c": 2}}
    assert apply_overrides(table, [override]) == expected
    assert table == {"a": {"b": 0, "c": 2}}


def test_the_last_override_wins() -> None:
    assert apply_overrides({}, ["a=1", "a=2"]) == {"a": 2}


@pytest.mark.parametrize("override", ["a", "=1", "a..b=1", ".a=1", "a.b.c=1", " =1"])
def test_malformed_overrides(override: str) -> None:
    with pytest.raises(CustodesError, match=r"^--set "):
        apply_overrides({"a": {"b": 0}}, [override])


def test_malformed_toml_names_its_line() -> None:
    with pytest.raises(CustodesError, match=r"^run/config.toml: not valid TOML: .*line 2"):
        parse_toml("a = 1\nb = = 2\n", "run/config.toml")
