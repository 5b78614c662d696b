"""Bytes for every decoder of the agreement: made-up messages, damaged in many ways."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np

from custodes.bft.ballots import Ballot, decode_payload, encode_payload, make_items
from custodes.bft.certificates import Certificate, decode_certificate, encode_certificate
from custodes.bft.cluster import records as journal
from custodes.bft.cluster.records import Entry
from custodes.bft.core.events import Root
from custodes.bft.encoding import decode, encode
from custodes.bft.errors import BftError, DecodeError
from custodes.bft.evidence import PROOF_KINDS, Proof, decode_proof, encode_proof
from custodes.bft.messages import Block, Blocks, Column, Fetch, Header, Message, Proposal, Qc, Status, Tc, Timeout, Vote
from custodes.bft.safety import segment
from custodes.bft.safety.codec import decode_record, encode_record
from custodes.bft.safety.records import AbstainRecord, ColumnRecord, CommitRecord, ProposalRecord, Record, VoteRecord

AGENTS: Final = 4
SECONDS: Final = 0.5
"""Longest time that one decoding may take."""
MEMORY: Final = (16, 2**20)
"""What one decoding may allocate: so many times the input's bytes, and so many bytes more."""
_MEASURED: Final = 50
"""One input in so many is measured for memory."""
_EXTREMES: Final = (0, 1, 2**7, 2**8 - 1, 2**15, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1)


@final
@dataclass(kw_only=True)
class Codec:
    """What was found out."""

    inputs: int = 0
    """Byte strings decoded."""
    accepted: int = 0
    """Of them, those that were somebody's encoding."""
    slowest: float = 0.0
    """Longest decoding, seconds."""
    greediest: float = 0.0
    """Largest share of the memory bound that a decoding took."""
    faults: list[str] = field(default_factory=list)
    """What must not be."""


@final
class Maker:
    """Random values of every kind; none is signed, which no decoder looks at."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def raw(self, count: int) -> bytes:
        """Random bytes."""
        return self.random.randbytes(count)

    def number(self) -> int:
        """A small or a large number."""
        return self.random.choice((self.random.randrange(1000), self.random.randrange(2**62)))

    def signers(self) -> tuple[int, ...]:
        """Some replicas, ascending."""
        return tuple(sorted(self.random.sample(range(AGENTS), self.random.randint(0, AGENTS))))

    def qc(self) -> Qc:
        """A quorum certificate."""
        who = self.signers()
        signatures = tuple(self.raw(64) for _ in who)
        high = self.random.choice((-1, self.number()))
        return Qc(
            view=self.number(),
            block=self.raw(32),
            qc_view=self.number(),
            tc_high=high,
            signers=who,
            signatures=signatures,
        )

    def tc(self) -> Tc | None:
        """A timeout certificate, or none."""
        who = self.signers()
        if self.random.random() < 0.5:
            return None
        highs = tuple(self.number() for _ in who)
        return Tc(view=self.number(), signers=who, high_views=highs, signatures=tuple(self.raw(64) for _ in who))

    def column(self, batch: int | None = None, agent: int = 0, count: int = 0) -> Column:
        """Votes of an agent."""
        count = count or self.random.randint(1, 50)
        return Column(
            agent=agent,
            batch=self.number() if batch is None else batch,
            items_digest=self.raw(32),
            severities=bytes(self.random.choices(range(4), k=count)),
            scores=self.raw(2 * count) if self.random.random() < 0.3 else b"",
            model=self.raw(32),
            signature=self.raw(64),
        )

    def payload(self) -> bytes:
        """A payload of a few batches, or none."""
        ballots = []
        for batch in range(self.random.randint(0, 3)):
            count = self.random.randint(1, 40)
            items = make_items(np.arange(count, dtype=np.uint64), np.arange(count, dtype=np.int64))
            columns = tuple(
                self.column(batch, agent, count) if self.random.random() < 0.8 else None for agent in range(AGENTS)
            )
            severities = bytes(self.random.choices(range(4), k=count))
            ballots.append(Ballot(batch=batch, items=items, columns=columns, decisions=severities))
        return encode_payload(tuple(ballots))

    def block(self) -> Block:
        """A block."""
        return Block(
            view=self.number(),
            height=self.number(),
            parent=self.raw(32),
            proposer=self.random.randrange(AGENTS),
            qc=self.qc(),
            tc=self.tc(),
            payload=self.payload(),
        )

    def vote(self) -> Vote:
        """A vote."""
        return Vote(
            view=self.number(),
            block=self.raw(32),
            qc_view=self.number(),
            tc_high=-1,
            voter=self.random.randrange(AGENTS),
            signature=self.raw(64),
        )

    def message(self) -> Message:
        """A message of any kind."""
        kind = self.random.randrange(7)
        if kind == 0:
            return Proposal(block=self.block(), signature=self.raw(64))
        if kind == 1:
            return self.vote()
        if kind == 2:
            return Timeout(view=self.number(), high_qc=self.qc(), tc=self.tc(), voter=1, signature=self.raw(64))
        if kind == 3:
            return Status(high_qc=self.qc(), tc=self.tc())
        if kind == 4:
            return Fetch(block=self.raw(32), floor=self.number(), limit=self.random.randint(1, 64))
        if kind == 5:
            return Blocks(blocks=tuple(self.block() for _ in range(self.random.randint(1, 4))))
        return self.column()

    def certificate(self) -> Certificate:
        """A decision certificate."""
        headers = tuple(
            Header(
                view=self.number(),
                height=self.number(),
                parent=self.raw(32),
                proposer=self.random.randrange(AGENTS),
                qc=self.raw(32),
                tc=self.raw(32),
                payload=self.raw(32),
            )
            for _ in range(self.random.randint(1, 5))
        )
        return Certificate(
            chain="fuzz", epoch=self.number(), headers=headers, lower=self.qc(), upper=self.qc(), payload=self.payload()
        )

    def proof(self) -> Proof:
        """A proof."""
        first, second = self.raw(64 + self.random.randrange(200)), self.raw(self.random.randrange(200))
        return Proof(kind=self.random.choice(PROOF_KINDS), culprit=2, first=first, second=second)

    def log(self) -> bytes:
        """A segment of a log."""
        name = self.raw(segment.LOG_ID)
        parts = [segment.header(name, 1, 0)]
        seal = parts[0][-segment.SEAL :]
        for sequence in range(1, self.random.randint(2, 8)):
            kind, body = encode_record(self.record())
            data, seal = segment.record(
                name, kind=kind, parts=body, sequence=sequence, synced=sequence - 1, before=seal
            )
            parts.append(data)
        return b"".join(parts)

    def record(self) -> Record:
        """A record of a log."""
        choice = self.random.randrange(5)
        if choice == 0:
            return VoteRecord(block=self.block(), id=self.raw(32))
        if choice == 1:
            return ProposalRecord(view=self.number(), id=self.raw(32))
        if choice == 2:
            return CommitRecord(height=self.number(), id=self.raw(32))
        if choice == 3:
            return AbstainRecord(view=self.number(), batch=self.number())
        return ColumnRecord(column=self.column())

    def journal(self) -> bytes:
        """A segment of a journal."""
        parts = []
        for height in range(1, self.random.randint(2, 5)):
            block = self.block()
            root = Root(block=self.raw(32), height=height, view=self.number())
            parts.append(journal.pack(Entry(root=root, block=block, certificate=self.certificate()), height - 1))
        return b"".join(parts)

    def damage(self, data: bytes, other: bytes) -> bytes:
        """Flip, cut, lengthen, splice, or write extreme numbers."""
        changed = bytearray(data)
        for _ in range(self.random.choice((1, 1, 1, 2, 5))):
            kind, at = self.random.randrange(7), self.random.randrange(len(changed) + 1)
            if kind == 0 and at < len(changed):
                changed[at] ^= 1 << self.random.randrange(8)
            elif kind == 1:
                del changed[at:]
            elif kind == 2:
                changed += self.raw(self.random.randrange(1, 64))
            elif kind == 3:
                changed[at:] = other[self.random.randrange(len(other) + 1) :]
            elif kind == 4:
                size = self.random.choice((1, 4, 8))
                number = self.random.choice(_EXTREMES) % (1 << (8 * size))
                changed[at : at + size] = number.to_bytes(size, "little")
            elif kind == 5:
                del changed[at : at + self.random.randrange(1, 40)]
            else:
                changed[at:at] = changed[at : at + self.random.randrange(1, 40)]
        return bytes(changed)


def _scan_log(data: bytes) -> None:
    found = segment.scan(data, "fuzz")
    for entry in found.entries:
        decode_record(entry.kind, entry.body)


def _scan_journal(data: bytes) -> None:
    for _, body in journal.scan(data):
        journal.unpack(body)


def _same(decoder: Callable[[bytes], object], encoder: Callable[..., bytes]) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        again = encoder(decoder(data))
        if again != data:
            raise AssertionError("encode(decode(bytes)) is not the same bytes")

    return check


def fuzz_codec(seconds: float, seed: int) -> Codec:
    """Feed every decoder until the time is over."""
    maker, found = Maker(seed), Codec()
    targets: tuple[tuple[str, Callable[[], bytes], Callable[[bytes], None]], ...] = (
        ("message", lambda: encode(maker.message()), _same(decode, encode)),
        ("payload", maker.payload, _same(lambda data: decode_payload(data, AGENTS), encode_payload)),
        ("certificate", lambda: encode_certificate(maker.certificate()), _same(decode_certificate, encode_certificate)),
        ("proof", lambda: encode_proof(maker.proof()), _same(decode_proof, encode_proof)),
        ("log", maker.log, _scan_log),
        ("journal", maker.journal, _scan_journal),
    )
    end = time.monotonic() + seconds
    while time.monotonic() < end and len(found.faults) < 20:
        for name, make, check in targets:
            whole, other = make(), make()
            _try(name, check, whole, found, must=True)
            for _ in range(12):
                _try(name, check, maker.damage(whole, other), found)
            _try(name, check, maker.raw(maker.random.randrange(400)), found)
    return found


def _try(name: str, check: Callable[[bytes], None], data: bytes, found: Codec, *, must: bool = False) -> None:
    found.inputs += 1
    measured = found.inputs % _MEASURED == 0
    if measured:
        tracemalloc.start()
    begin = time.perf_counter()
    try:
        check(data)
        found.accepted += 1
    except DecodeError as error:
        if must:
            found.faults.append(f"{name}: its own encoding is refused: {error}: {data.hex()}")
    except BftError as error:
        if must or name != "log":
            found.faults.append(f"{name}: {error}: {data.hex()}")
    except Exception as error:
        found.faults.append(f"{name}: {type(error).__name__}: {error}: {data.hex()}")
    took = time.perf_counter() - begin
    found.slowest = max(found.slowest, took)
    if took > SECONDS:
        found.faults.append(f"{name}: took {took:.2f} s: {data.hex()}")
    if measured:
        share = tracemalloc.get_traced_memory()[1] / (MEMORY[0] * len(data) + MEMORY[1])
        tracemalloc.stop()
        found.greediest = max(found.greediest, share)
        if share > 1:
            found.faults.append(f"{name}: took {share:.1f} times the memory that it may: {data.hex()}")
