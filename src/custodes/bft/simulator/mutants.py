"""Defects as people seed them by accident, each put into the protocol from outside; the suite must find every one.

A mutant replaces functions of the protocol while it is in force (`faults.Patches`); the product's own code has no
switch. `hunts` say which part of the suite finds it, cheapest first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, final

from custodes.bft.simulator import broken
from custodes.bft.simulator.faults import Patches

Kind = Literal["short", "long", "directed", "twins"]


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Hunt:
    """Where to look for a defect."""

    kind: Kind
    """Random seeds (short or long), a directed scenario, or Twins."""
    n: int = 4
    """Replicas."""
    most: int = 2000
    """Seeds tried, or views of the Twins set."""
    name: str = ""
    """Of the directed scenario."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """One defect."""

    name: str
    """What `--mutant` takes."""
    what: str
    """What is wrong, a few words."""
    seed: Callable[[Patches], None]
    """Puts it in."""
    hunts: tuple[Hunt, ...] = (Hunt(kind="short"),)
    """Which parts of the suite find it."""


_LONG: Final = (Hunt(kind="long", most=200),)


def _directed(name: str) -> tuple[Hunt, ...]:
    return (Hunt(kind="directed", name=name),)


MUTANTS: Final = (
    Mutant(name="no-lock", what="votes for blocks below the timeout certificate's high view", seed=broken.no_lock),
    Mutant(
        name="lowest-high", what="takes a timeout certificate's lowest high view for its highest", seed=broken.low_high
    ),
    Mutant(name="quorum-2f", what="a quorum is 2f", seed=broken.quorum_2f),
    Mutant(name="commit-gap", what="commits on certificates of views that are not consecutive", seed=broken.commit_gap),
    Mutant(name="vote-twice", what="votes for every block of a view", seed=broken.vote_twice),
    Mutant(name="no-log", what="a restart forgets what was signed", seed=broken.no_log),
    Mutant(name="early-release", what="signs before the record is durable", seed=broken.early_release),
    Mutant(name="vote-after-timeout", what="votes in a view that it gave up on", seed=broken.vote_after_timeout),
    Mutant(name="timeout-hides", what="timeouts show an old certificate", seed=broken.timeout_hides),
    Mutant(name="repeated-signer", what="a certificate may name a signer several times", seed=broken.repeated_signer),
    Mutant(name="count-messages", what="a quorum is counted in messages", seed=broken.count_messages),
    Mutant(name="unsigned-proposal", what="a proposal's signature is not checked", seed=broken.unsigned_proposal),
    Mutant(name="unsigned-vote", what="a vote's signature is not checked", seed=broken.unsigned_vote),
    Mutant(name="unsigned-column", what="a column's signature is not checked", seed=broken.unsigned_column),
    Mutant(name="unchecked-qc", what="quorum certificates are not checked", seed=broken.unchecked_qc),
    Mutant(name="unchecked-tc", what="timeout certificates are not checked", seed=broken.unchecked_tc),
    Mutant(name="any-qc-view", what="a block may skip views without a timeout certificate", seed=broken.any_qc_view),
    Mutant(name="any-leader", what="anybody may propose in a view", seed=broken.any_leader),
    Mutant(name="any-parent", what="the certificate need not be of the parent", seed=broken.any_parent),
    Mutant(name="trust-decisions", what="decisions are not recomputed", seed=broken.trust_decisions),
    Mutant(name="batch-again", what="a batch may be decided again", seed=broken.batch_again),
    Mutant(name="no-inclusion", what="a leader may leave out columns", seed=broken.no_inclusion),
    Mutant(name="few-columns", what="a ballot may have any number of columns", seed=broken.few_columns),
    Mutant(name="silent-watch", what="equivocation is dropped silently", seed=broken.silent_watch),
    Mutant(name="newest-first", what="ancestors are committed newest first", seed=broken.newest_first),
    Mutant(
        name="any-chain",
        what="signed bytes name no chain and no epoch",
        seed=broken.any_chain,
        hunts=_directed("other-chain"),
    ),
    Mutant(name="f-third", what="f is n // 3", seed=broken.f_third, hunts=(Hunt(kind="long", n=6, most=50),)),
    Mutant(
        name="timeout-without-tc",
        what="timeouts do not carry the last timeout certificate",
        seed=broken.no_last_tc,
        hunts=_LONG,
    ),
    Mutant(name="timeout-once", what="a timeout is sent once and not again", seed=broken.timeout_once, hunts=_LONG),
    Mutant(name="no-fetch", what="missing blocks are not asked for", seed=broken.no_fetch, hunts=_LONG),
    Mutant(name="no-view-change", what="a silent leader is waited for", seed=broken.no_view_change, hunts=_LONG),
)
"""All of them."""

BY_NAME: Final = {mutant.name: mutant for mutant in MUTANTS}
