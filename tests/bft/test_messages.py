"""Messages are plain frozen values; cached names never outlive a change."""

from __future__ import annotations

import dataclasses

import pytest

from custodes.bft.messages import NO_TC, Tc
from custodes.bft.statements import block_id, genesis_qc, qc_digest
from tests.bft.material import material


def test_messages_cannot_be_changed() -> None:
    vote = material().vote(material().chain(1)[0], 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        vote.view = 9  # type: ignore[misc]
    assert not hasattr(vote, "__dict__")


def test_a_changed_copy_has_a_name_of_its_own() -> None:
    team = material().team
    block = material().chain(1)[0]
    name = block_id(team, block)
    other = dataclasses.replace(block, payload=b"x")
    assert block_id(team, other) != name
    assert block_id(team, dataclasses.replace(other, payload=block.payload)) == name
    qc = material().qc(block)
    assert qc_digest(qc) != qc_digest(dataclasses.replace(qc, view=7))


def test_the_name_of_a_block_is_that_of_its_chain() -> None:
    block = material().chain(1)[0]
    names = {block_id(material(chain=chain, epoch=epoch).team, block) for chain in ("a", "b") for epoch in (0, 1)}
    assert len(names) == 4


def test_cached_names_do_not_count_when_values_are_compared() -> None:
    first, second = (material().block(1, genesis_qc(material().team), height=1) for _ in range(2))
    block_id(material().team, first)
    assert first == second
    assert hash(first) == hash(second)


def test_the_high_view_of_a_timeout_certificate_is_its_largest() -> None:
    assert material().tc(9, (3, 8, 0)).high == 8
    assert Tc(view=1, signers=(), high_views=(), signatures=()).high == NO_TC
