"""What a block carries: batches of items, every agent's signed votes on them, and the decisions that follow.

Layout of a payload, little-endian: number of batches u8 (at least 1; an empty block has an empty payload), then for
each batch: batch u64 | K u32 | mask of agents with votes u64 | mask of those with scores u64 | entities u64[K] | times
i64[K] | per voting agent, ascending: model digest, signature, severities u8[K], scores u16[K] if it gave any |
decisions u8[K]. Where a safeguard judged the decisions (`safeguard`), the highest bit of K is set and its digest and
actions u8[K] follow. One value has one form, as in `encoding`. The digest of the items is not stored but computed, so a
column that was signed for other items cannot stand in the payload.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from custodes.bft.encoding import HASH, MAX_ITEMS, MAX_PAYLOAD, SIGNATURE, Reader
from custodes.bft.errors import DecodeError
from custodes.bft.messages import Column
from custodes.bft.team import Team
from custodes.bft.verify import MAX_VIEW, Verifier
from custodes.bft.votes import BLOCK, severity_decision

MAX_BATCHES: Final = 64
"""Batches of one block."""

_COUNT: Final = struct.Struct("<B")
_HEAD: Final = struct.Struct("<QIQQ")
_DOMAIN: Final = b"\x0ecustodes/items"
_GUARDED: Final = 1 << 31


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Items:
    """What a batch is about: K acts of entities, as columns."""

    entities: bytes
    """Entity of each item, u64 little-endian [K]."""
    times: bytes
    """Time of each item in ns since 1970 UTC, i64 little-endian [K]."""

    def __len__(self) -> int:
        return len(self.times) // 8


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Ballot:
    """One batch, decided."""

    batch: int
    """Number of the batch, from 0, growing by one."""
    items: Items
    """What was voted on."""
    columns: tuple[Column | None, ...]
    """The votes of each agent (n); None for one whose votes did not arrive: they count as Allow."""
    decisions: bytes
    """Severity (0 to 3) per item, as `recompute` gives it."""
    guard: bytes = b""
    """Digest of the safeguard that judged the decisions (32 bytes); empty where none does."""
    actions: bytes = b""
    """Severity (0 to 3) per item that the safeguard lets through; empty where there is none."""

    @property
    def taken(self) -> bytes:
        """What is to be done, severity per item."""
        return self.actions if self.guard else self.decisions


def make_items(entities: NDArray[np.uint64], times: NDArray[np.int64]) -> Items:
    """Items from arrays.

    Args:
        entities: u64 [K].
        times: i64 [K], ns since 1970 UTC.
    """
    return Items(entities=entities.astype("<u8").tobytes(), times=times.astype("<i8").tobytes())


def entities_of(items: Items) -> NDArray[np.uint64]:
    """Entity of each item, u64 [K]; a view, read-only."""
    return np.frombuffer(items.entities, dtype="<u8")


def times_of(items: Items) -> NDArray[np.int64]:
    """Time of each item, i64 [K], ns since 1970 UTC; a view, read-only."""
    return np.frombuffer(items.times, dtype="<i8")


def scores_of(column: Column) -> NDArray[np.uint16]:
    """Fixed-point scores, u16 [K] (65,535 is 1), or [0] when the agent gave none; a view, read-only."""
    return np.frombuffer(column.scores, dtype="<u2")


def fixed_point(scores: NDArray[np.floating]) -> bytes:
    """Scores in [0, 1] [K] as a column carries them: nearest of 65,536 steps, so that all machines agree on them."""
    return bytes(np.rint(np.clip(scores, 0.0, 1.0) * 65_535).astype("<u2").tobytes())


def items_digest(batch: int, items: Items) -> bytes:
    """SHA-256 of a batch's number and items (32 bytes)."""
    head = struct.pack("<QI", batch, len(items))
    return hashlib.sha256(b"".join((_DOMAIN, head, items.entities, items.times))).digest()


def recompute(columns: tuple[Column | None, ...], count: int, team: Team) -> bytes:
    """The decisions that follow from the votes.

    Args:
        columns: Votes of each agent (n), None for missing ones, which count as Allow.
        count: Items K.
        team: n and f.

    Returns:
        Severity per item (K bytes), by `severity_decision`.
    """
    votes = np.zeros((team.n, count), dtype=np.uint8)
    for agent, column in enumerate(columns):
        if column is not None:
            votes[agent] = np.frombuffer(column.severities, dtype=np.uint8)
    return bytes(severity_decision(votes.T, team.f).astype(np.uint8).tobytes())


def make_ballot(team: Team, batch: int, items: Items, columns: tuple[Column | None, ...]) -> Ballot:
    """A ballot with its decisions; `ballot_fault` says whether the columns are enough, and all for these items."""
    return Ballot(batch=batch, items=items, columns=columns, decisions=recompute(columns, len(items), team))


def needed(team: Team) -> int:
    """Columns without which a ballot is refused: n - f.

    So many always arrive from honest agents, and the promises of `severity_decision` need them: else a leader could
    decide Allow for everything by leaving everybody out.
    """
    return team.n - team.f


def ballot_fault(verifier: Verifier, ballot: Ballot) -> str | None:
    """Whether a ballot holds: enough columns, each signed by its agent for these items, and the decisions follow.

    Not looked at: whether the batch is the next one, whether its items are those that this replica saw, and whether its
    actions are those of the safeguard, which depend on all ballots before.
    """
    team, count = verifier.team, len(ballot.items)
    if len(ballot.columns) != team.n:
        return "not one column per agent"
    given = [column for column in ballot.columns if column is not None]
    if len(given) < needed(team):
        return "too few columns"
    digest = items_digest(ballot.batch, ballot.items)
    for agent, column in enumerate(ballot.columns):
        if column is None:
            continue
        if (column.agent, column.batch, column.items_digest) != (agent, ballot.batch, digest):
            return "column is of another agent, batch or items"
        if len(column.severities) != count:
            return "not one vote per item"
    if ballot.decisions != recompute(ballot.columns, count, team):
        return "decisions do not follow from the votes"
    if len(ballot.guard) not in (0, HASH) or len(ballot.actions) != (count if ballot.guard else 0):
        return "not one action per item"
    return next(filter(None, map(verifier.column_fault, given)), None)


def largest_ballot(count: int, n: int) -> int:
    """Bytes of a payload with one judged ballot on `count` items, to which all n agents give votes and scores."""
    return _COUNT.size + _HEAD.size + HASH + 18 * count + n * (HASH + SIGNATURE + 3 * count)


def encode_payload(ballots: tuple[Ballot, ...]) -> bytes:
    """Ballots as the payload of a block.

    Raises:
        DecodeError: They are over a limit, or fields have wrong sizes.
    """
    if not ballots:
        return b""
    if len(ballots) > MAX_BATCHES:
        raise DecodeError(f"{len(ballots)} batches are over the limit of {MAX_BATCHES}")
    parts = [_COUNT.pack(len(ballots))]
    for ballot in ballots:
        _write_ballot(ballot, parts)
    payload = b"".join(parts)
    if len(payload) > MAX_PAYLOAD:
        raise DecodeError(f"payload of {len(payload)} bytes is over the limit of {MAX_PAYLOAD}")
    return payload


def decode_payload(payload: bytes, n: int) -> tuple[Ballot, ...]:
    """Ballots from the payload of a block.

    Args:
        payload: What anyone may have sent.
        n: Agents of the team.

    Raises:
        DecodeError: It is not the encoding of any ballots of n agents.
    """
    if not payload:
        return ()
    if len(payload) > MAX_PAYLOAD:
        raise DecodeError("payload is over the limit")
    reader = Reader(payload)
    (count,) = reader.fields(_COUNT)
    if not 1 <= count <= MAX_BATCHES:
        raise DecodeError("number of batches is out of range")
    ballots = tuple(_read_ballot(reader, n) for _ in range(count))
    reader.end()
    return ballots


def _write_ballot(ballot: Ballot, parts: list[bytes]) -> None:
    items, count = ballot.items, len(ballot.items)
    if not 1 <= count <= MAX_ITEMS:
        raise DecodeError(f"batch of {count} items is not between 1 and {MAX_ITEMS}")
    if not 0 <= ballot.batch <= MAX_VIEW:
        raise DecodeError("batch out of range")
    _sized(items.entities, 8 * count)
    _sized(items.times, 8 * count)
    voting = sum(1 << agent for agent, column in enumerate(ballot.columns) if column is not None)
    scoring = sum(1 << agent for agent, column in enumerate(ballot.columns) if column is not None and column.scores)
    head = count | (_GUARDED if ballot.guard else 0)
    parts += (_HEAD.pack(ballot.batch, head, voting, scoring), items.entities, items.times)
    for column in ballot.columns:
        if column is not None:
            parts += (_sized(column.model, HASH), _sized(column.signature, SIGNATURE))
            parts.append(_levels(_sized(column.severities, count)))
            if column.scores:
                parts.append(_sized(column.scores, 2 * count))
    parts.append(_levels(_sized(ballot.decisions, count)))
    if ballot.guard:
        parts += (_sized(ballot.guard, HASH), _levels(_sized(ballot.actions, count)))


def _read_ballot(reader: Reader, n: int) -> Ballot:
    batch, head, voting, scoring = reader.fields(_HEAD)
    guarded, count = bool(head & _GUARDED), head & ~_GUARDED
    if not 1 <= count <= MAX_ITEMS:
        raise DecodeError("number of items is out of range")
    if batch > MAX_VIEW:
        raise DecodeError("batch out of range")
    if voting >> n or scoring & ~voting:
        raise DecodeError("votes of an agent that is not of this team")
    items = Items(entities=reader.take(8 * count), times=reader.take(8 * count))
    digest = items_digest(batch, items)
    columns: list[Column | None] = []
    for agent in range(n):
        if not voting >> agent & 1:
            columns.append(None)
            continue
        model, signature = reader.take(HASH), reader.take(SIGNATURE)
        severities = _levels(reader.take(count))
        scores = reader.take(2 * count) if scoring >> agent & 1 else b""
        columns.append(
            Column(
                agent=agent,
                batch=batch,
                items_digest=digest,
                severities=severities,
                scores=scores,
                model=model,
                signature=signature,
            )
        )
    decisions = _levels(reader.take(count))
    guard, actions = (reader.take(HASH), _levels(reader.take(count))) if guarded else (b"", b"")
    return Ballot(batch=batch, items=items, columns=tuple(columns), decisions=decisions, guard=guard, actions=actions)


def _sized(value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise DecodeError(f"column has {len(value)} bytes, not {size}")
    return value


def _levels(severities: bytes) -> bytes:
    # Deleting the four allowed bytes is many times faster than a maximum over Python integers.
    if severities.translate(None, _ALLOWED):
        raise DecodeError("vote is not 0 to 3")
    return severities


_ALLOWED: Final = bytes(range(BLOCK + 1))
