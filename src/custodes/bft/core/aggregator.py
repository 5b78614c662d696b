"""Collects votes and timeouts and makes certificates of them.

A signature is checked once, and only when it can still matter: a vote that arrives after its certificate was formed is
kept unchecked, and looked at only when the same voter turns out to have voted for something else in that view.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, final

from custodes.bft import statements
from custodes.bft.messages import Qc, Tc, Timeout, Vote
from custodes.bft.verify import basis_fault

if TYPE_CHECKING:
    from custodes.bft.crypto import Crypto
    from custodes.bft.team import Team

Key = tuple[bytes, int, int]
"""What is voted for within a view: block, view of its certificate, high view of its timeout certificate."""

STATEMENTS = 2
"""Different votes kept per voter and view: two are a proof, more add nothing."""


@final
class _ViewVotes:
    """Votes of one view."""

    __slots__ = ("certified", "groups", "seen", "statements")

    def __init__(self) -> None:
        self.certified: Key | None = None
        self.groups: dict[Key, dict[int, bytes]] = {}
        self.statements: dict[Key, bytes] = {}
        self.seen: dict[int, list[Vote]] = {}


@final
class VoteBook:
    """Votes of the views around the current one: at most two per voter in each of 2 * window + 1 views.

    Args:
        team: Whose votes count.
        crypto: Checks a signature.
        window: Views kept before and after the current one.
        observe: Called with every vote found to be signed by its voter.
    """

    __slots__ = ("_crypto", "_floor", "_observe", "_team", "_top", "_views", "_window")

    def __init__(self, team: Team, crypto: Crypto, window: int, observe: Callable[[Vote], None]) -> None:
        self._team = team
        self._crypto = crypto
        self._window = window
        self._observe = observe
        self._views: dict[int, _ViewVotes] = {}
        self._floor = 1
        self._top = window

    def __len__(self) -> int:
        return sum(len(votes) for view in self._views.values() for votes in view.seen.values())

    def enter(self, view: int) -> None:
        """Moves the window to a view."""
        self._floor, self._top = view - self._window, view + self._window
        views = self._views
        while views and (oldest := next(iter(views))) < self._floor:
            del views[oldest]

    def holds(self, voter: int, view: int, key: Key) -> bool:
        """Says whether this vote has been seen."""
        record = self._views.get(view)
        return record is not None and voter in record.groups.get(key, ())

    def against(self, view: int, block: bytes) -> list[int]:
        """Whose vote for another block of a view has been seen, checked or not."""
        record = self._views.get(view)
        if record is None or all(key[0] == block for key in record.groups):
            return []
        return [voter for voter, votes in record.seen.items() if votes[0].block != block]

    def add(self, vote: Vote, *, own: bool = False) -> Qc | str | None:
        """Takes a vote; returns the certificate that it completes, None, or why its sender is at fault."""
        if not self._floor <= vote.view <= self._top:
            return None
        record = self._views.get(vote.view)
        if record is None:
            record = self._open(vote.view)
        key = (vote.block, vote.qc_view, vote.tc_high)
        seen = record.seen.get(vote.voter)
        if seen is not None:
            if len(seen) >= STATEMENTS or key == (seen[0].block, seen[0].qc_view, seen[0].tc_high):
                return None
        elif record.certified is not None:
            record.seen[vote.voter] = [vote]
            return None
        return self._count(record, vote, key, seen, own)

    def _count(self, record: _ViewVotes, vote: Vote, key: Key, seen: list[Vote] | None, own: bool) -> Qc | str | None:
        statement = record.statements.get(key)
        if statement is None:
            statement = statements.statement_of_vote(self._team, vote)
        if not own and not self._crypto.verify(vote.voter, statement, vote.signature):
            return "vote with a bad signature"
        record.statements[key] = statement
        if seen is None:
            record.seen[vote.voter] = [vote]
        else:
            self._conflict(seen[0])
            seen.append(vote)
        self._observe(vote)
        if basis_fault(vote.view, vote.qc_view, vote.tc_high) is not None:
            return "vote that no rule allows"
        group = record.groups.setdefault(key, {})
        group[vote.voter] = vote.signature
        if len(group) < self._team.quorum or record.certified is not None:
            return None
        record.certified = key
        signers = tuple(sorted(group))
        return Qc(
            view=vote.view,
            block=vote.block,
            qc_view=vote.qc_view,
            tc_high=vote.tc_high,
            signers=signers,
            signatures=tuple([group[signer] for signer in signers]),
        )

    def _conflict(self, first: Vote) -> None:
        # The first may be one that came late and was never checked.
        if self._crypto.verify(first.voter, statements.statement_of_vote(self._team, first), first.signature):
            self._observe(first)

    def _open(self, view: int) -> _ViewVotes:
        record = self._views[view] = _ViewVotes()
        if len(self._views) > 1 and view < max(self._views):
            self._views = dict(sorted(self._views.items()))
        return record


@final
class TimeoutBook:
    """Timeouts of the current view, one per replica; those of other views need not be kept (see `pacemaker`)."""

    __slots__ = ("_team", "_timeouts", "view")

    def __init__(self, team: Team) -> None:
        self._team = team
        self._timeouts: dict[int, Timeout] = {}
        self.view = 0

    def __len__(self) -> int:
        return len(self._timeouts)

    def enter(self, view: int) -> None:
        """Forgets the timeouts of the view before."""
        self.view = view
        if self._timeouts:
            self._timeouts = {}

    def of(self, voter: int) -> Timeout | None:
        """The timeout of a replica in the current view."""
        return self._timeouts.get(voter)

    def add(self, timeout: Timeout) -> Tc | None:
        """Takes a checked timeout of the current view; returns the certificate once a quorum is there."""
        self._timeouts.setdefault(timeout.voter, timeout)
        if len(self._timeouts) < self._team.quorum:
            return None
        signers = tuple(sorted(self._timeouts))
        return Tc(
            view=self.view,
            signers=signers,
            high_views=tuple([self._timeouts[i].high_qc.view for i in signers]),
            signatures=tuple([self._timeouts[i].signature for i in signers]),
        )
