"""The parts on their own, against definitions: votes counted, certificates of a path, delays, limits."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custodes.bft import statements
from custodes.bft.core.aggregator import VoteBook
from custodes.bft.core.blocktree import BlockTree, proofs
from custodes.bft.core.config import ReplicaConfig
from custodes.bft.core.events import Root
from custodes.bft.core.fetch import Fetcher
from custodes.bft.core.pacemaker import Pacemaker, lets_in
from custodes.bft.crypto import KeyedHashCrypto
from custodes.bft.messages import NO_TC, Block, Qc, Tc, Vote
from custodes.bft.team import Team

CRYPTO = KeyedHashCrypto(tuple(bytes([i + 1]) * 16 for i in range(4)))
TEAM = Team(chain="parts", epoch=0, keys=CRYPTO.keys)
GENESIS = statements.genesis_qc(TEAM)


def vote(view: int, block: int, voter: int, good: bool) -> Vote:
    name = bytes([block]) * 32
    statement = statements.vote_statement(TEAM, view, name, view - 1, NO_TC)
    signature = CRYPTO.signer(voter).sign(statement) if good else bytes(64)
    return Vote(view=view, block=name, qc_view=view - 1, tc_high=NO_TC, voter=voter, signature=signature)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 2), st.integers(0, 3), st.booleans()), max_size=60))
def test_votes_are_counted_by_distinct_signers(said: list[tuple[int, int, int, bool]]) -> None:
    book = VoteBook(TEAM, CRYPTO, 4, lambda seen: None)
    book.enter(5)
    counted: dict[tuple[int, int], set[int]] = defaultdict(set)
    heard: dict[tuple[int, int], list[int]] = defaultdict(list)
    certified = set()
    for view, block, voter, good in said:
        before = set(counted[view, block])
        others = heard[voter, view]
        # The definition: two different good votes per voter and view; after the certificate nothing needs counting.
        if 1 <= view <= 9 and good and block not in others and len(others) < 2:
            others.append(block)
            counted[view, block].add(voter)
        result = book.add(vote(view, block, voter, good))
        if isinstance(result, Qc):
            assert view not in certified
            certified.add(view)
            assert set(result.signers) == counted[view, block] > before
            assert len(result.signers) == TEAM.quorum
        if view in certified or not 1 <= view <= 9:
            assert not isinstance(result, Qc) or result.view == view
        elif len(counted[view, block]) >= TEAM.quorum:
            pytest.fail("a quorum without a certificate")
    assert len(book) <= 9 * 4 * 2


def path_of(views: list[int]) -> tuple[list[Block], Qc]:
    blocks: list[Block] = []
    qc = GENESIS
    for height, view in enumerate(views, 1):
        tc = None if qc.view == view - 1 else Tc(view=view - 1, signers=(), high_views=(), signatures=())
        block = Block(view=view, height=height, parent=qc.block, proposer=0, qc=qc, tc=tc, payload=b"")
        name = statements.block_id(TEAM, block)
        qc = Qc(view=view, block=name, qc_view=block.qc.view, tc_high=NO_TC, signers=(), signatures=())
        blocks.append(block)
    return blocks, qc


@given(st.lists(st.integers(1, 3), min_size=1, max_size=12))
def test_each_block_of_a_path_is_proved_by_the_first_pair_above_it(gaps: list[int]) -> None:
    views = [sum(gaps[: at + 1]) for at in range(len(gaps))]
    views.append(views[-1] + 1)
    path, qc = path_of(views)
    certificates = [block.qc for block in path[1:]] + [qc]
    found = proofs(path, qc)
    assert len(found) == len(path) - 1
    for at, (descendants, certificate) in enumerate(found):
        end = next(i for i in range(at + 1, len(path)) if views[i] == views[i - 1] + 1)
        assert list(descendants) == path[at + 1 : end + 1]
        assert certificate == certificates[end]


def test_tree_keeps_only_what_descends_from_the_root() -> None:
    tree = BlockTree(Root(block=TEAM.genesis, height=0, view=0), history=2, limit=10)
    path, _ = path_of([1, 2, 3, 4])
    fork = Block(view=5, height=2, parent=path[1].parent, proposer=0, qc=path[1].qc, tc=None, payload=b"fork")
    names = [statements.block_id(TEAM, block) for block in path]
    for name, block in zip(names, path, strict=True):
        assert tree.insert(name, block, names[-1])
    assert tree.insert(statements.block_id(TEAM, fork), fork, names[-1])
    assert [block.view for block in tree.chain(names[3])] == [1, 2, 3, 4]
    tree.commit(names[2], tree.chain(names[2]))
    assert len(tree) == 1
    assert tree.root == Root(block=names[2], height=3, view=3)
    # Two committed blocks are kept to answer with, the oldest is not.
    assert [tree.find(name) is not None for name in names] == [False, True, True, True]


def test_fetcher_asks_the_signers_in_turn_and_never_itself() -> None:
    fetcher = Fetcher(ReplicaConfig(index=1))
    name = bytes(32)
    first = fetcher.want(name, 5, (0, 1, 3))
    asked = [first] + [to for _ in range(3) for to, _ in fetcher.retry(0)]
    assert set(asked) == {0, 3}
    assert all(a != b for a, b in zip(asked[1:], asked, strict=False))
    assert fetcher.want(name, 5, (0, 1, 3)) is None
    # What the commit has passed is not asked for any more.
    assert fetcher.retry(5) == []
    assert fetcher.wanted == ()


def test_patience_doubles_up_to_its_cap() -> None:
    pacemaker = Pacemaker(ReplicaConfig(index=0, timeout=0.5, backoff_cap=2))
    tc = Tc(view=1, signers=(), high_views=(), signatures=())
    periods = []
    for view in range(2, 7):
        periods.append(pacemaker.period)
        pacemaker.enter(view, tc, 0.0)
    assert periods == [0.5, 1.0, 2.0, 2.0, 2.0]
    pacemaker.enter(7, None, 0.0)
    assert pacemaker.period == 2.0
    pacemaker.progress()
    assert pacemaker.period == 0.5


@pytest.mark.parametrize(
    ("view", "qc_view", "tc_view", "high", "enters"),
    [
        (5, 4, None, None, True),
        (5, 3, None, None, False),
        (5, 3, 4, 3, True),
        (5, 3, 4, 2, True),
        (5, 2, 4, 3, False),
        (5, 3, 3, 3, False),
        (5, 4, 4, 3, False),
        (5, 5, None, None, False),
        (5, 6, 4, 3, False),
    ],
)
def test_what_lets_a_replica_into_a_view(
    view: int, qc_view: int, tc_view: int | None, high: int | None, enters: bool
) -> None:
    qc = Qc(view=qc_view, block=bytes(32), qc_view=qc_view - 1, tc_high=NO_TC, signers=(), signatures=())
    tc = None
    if tc_view is not None:
        assert high is not None
        tc = Tc(view=tc_view, signers=(0,), high_views=(high,), signatures=(b"",))
    assert lets_in(view, qc, tc) == enters


@pytest.mark.parametrize(
    "bad",
    [
        {"index": -1},
        {"timeout": 0.0},
        {"fetch_delay": -1.0},
        {"orphans": 0},
        {"backoff_cap": 21},
        {"fetch_batch": 4096},
    ],
)
def test_settings_are_checked(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        ReplicaConfig(**{"index": 0, **bad})  # type: ignore[arg-type]
