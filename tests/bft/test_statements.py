"""Signed bytes: no two statements share them, and they can be read back."""

from __future__ import annotations

import dataclasses
import hashlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.bft import statements
from custodes.bft.messages import Block
from custodes.bft.team import Team
from tests.bft.material import material

VIEWS = st.integers(0, 2**62)
HIGHS = st.integers(-1, 2**62)
DIGESTS = st.binary(min_size=32, max_size=32)
SAYINGS = st.one_of(
    st.tuples(st.just("proposal"), VIEWS, DIGESTS),
    st.tuples(st.just("vote"), VIEWS, DIGESTS, HIGHS, HIGHS),
    st.tuples(st.just("timeout"), VIEWS, HIGHS),
    st.tuples(st.just("column"), VIEWS, st.integers(0, 63), DIGESTS),
)
TEAMS = st.builds(
    lambda chain, epoch: Team(chain=chain, epoch=epoch, keys=material().team.keys),
    st.sampled_from(["a", "ab", "b", "a\x20", "vote", "test"]),
    st.integers(0, 300),
)


def say(team: Team, saying: tuple[object, ...]) -> bytes:
    made = getattr(statements, f"{saying[0]}_statement")(team, *saying[1:])
    assert isinstance(made, bytes)
    return made


@given(TEAMS, SAYINGS, TEAMS, SAYINGS)
def test_no_two_statements_share_bytes(
    one: Team, first: tuple[object, ...], two: Team, second: tuple[object, ...]
) -> None:
    same = (one.chain, one.epoch, first) == (two.chain, two.epoch, second)
    assert (say(one, first) == say(two, second)) == same


@given(SAYINGS)
def test_statements_are_read_back(saying: tuple[object, ...]) -> None:
    team = material().team
    read = statements.parse(team, say(team, saying))
    assert read is not None
    assert (read.kind, read.slot) == saying[:2]
    if read.kind == "vote":
        assert (read.digest, read.qc_view, read.tc_high) == saying[2:]
    elif read.kind == "timeout":
        assert (read.qc_view,) == saying[2:]
    elif read.kind == "column":
        assert (read.agent, read.digest) == saying[2:]
    else:
        assert (read.digest,) == saying[2:]


@given(SAYINGS, st.data())
def test_other_bytes_are_not_read(saying: tuple[object, ...], data: st.DataObject) -> None:
    team = material().team
    made = say(team, saying)
    assert statements.parse(material(chain="else").team, made) is None
    assert statements.parse(material(epoch=4).team, made) is None
    assert statements.parse(team, made + b"\0") is None
    assert statements.parse(team, made[: data.draw(st.integers(0, len(made) - 1))]) is None


def test_a_vote_statement_has_the_documented_layout() -> None:
    team = material().team
    expected = b"\x0dcustodes/vote" + b"\x04test" + struct.pack("<Q", 3) + struct.pack("<Q", 7) + b"h" * 32
    assert statements.vote_statement(team, 7, b"h" * 32, 5, -1) == expected + struct.pack("<qq", 5, -1)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Block) if field.init])
def test_every_field_of_a_block_is_in_its_name(field: str) -> None:
    m = material()
    block = m.chain(3)[2]
    changed: dict[str, Any] = {
        "view": 9,
        "height": 9,
        "parent": b"p" * 32,
        "proposer": 0,
        "qc": m.qc(m.chain(2)[1], (1, 2, 3)),
        "tc": m.tc(2, (0, 0, 1)),
        "payload": b"x",
    }
    assert statements.block_id(m.team, dataclasses.replace(block, **{field: changed[field]})) != statements.block_id(
        m.team, block
    )


def test_a_header_has_the_name_of_its_block() -> None:
    m = material()
    block = m.block(5, m.qc(m.chain(1)[0]), height=2, tc=m.tc(4, (1, 1, 0)), payload=b"payload")
    header = statements.header_of(block)
    assert header.payload == hashlib.sha256(b"payload").digest()
    assert statements.header_id(m.team, header) == statements.block_id(m.team, block)


def test_genesis_binds_the_keys() -> None:
    keys = material().team.keys
    other = Team(chain="test", epoch=3, keys=keys[::-1])
    assert other.genesis != material().team.genesis
    assert statements.genesis_qc(other) != statements.genesis_qc(material().team)
