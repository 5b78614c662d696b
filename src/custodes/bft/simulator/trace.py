"""What happened in a run, as lines to read and as one hash to compare."""

from __future__ import annotations

import hashlib
from typing import Any, TypeAlias, final

from custodes.bft import statements
from custodes.bft.evidence import Proof
from custodes.bft.messages import Block, Blocks, Column, Fetch, Message, Proposal, Qc, Status, Tc, Timeout, Vote
from custodes.bft.team import Team

Said: TypeAlias = Message | Proof
"""What replicas send each other."""


@final
class Trace:
    """Collects one line per event.

    Args:
        team: To name blocks.
        keep: Whether to keep the lines, and not their hash alone.
    """

    def __init__(self, team: Team, *, keep: bool = False) -> None:
        self._team = team
        self._hash = hashlib.sha256()
        self.lines: list[str] | None = [] if keep else None

    def add(self, now: float, what: str) -> None:
        """Add a line."""
        line = f"{now:9.3f}  {what}"
        self._hash.update(line.encode() + b"\n")
        if self.lines is not None:
            self.lines.append(line)

    def message(self, now: float, sender: int, receiver: int, message: Said) -> None:
        """Add the arrival of a message."""
        self.add(now, f"{sender} -> {receiver}  {describe(self._team, message)}")

    def digest(self) -> str:
        """SHA-256 over all lines so far, in hexadecimal."""
        return self._hash.hexdigest()


def describe(team: Team, message: Any) -> str:
    """A message on one line."""
    match message:
        case Proposal(block=block):
            return f"proposal {_block(team, block)}"
        case Vote():
            rests = f"qc {message.qc_view}" + (f" tc high {message.tc_high}" if message.tc_high >= 0 else "")
            return f"vote v{message.view} {message.block[:4].hex()} by {message.voter} ({rests})"
        case Timeout():
            return f"timeout v{message.view} by {message.voter} (high {_qc(message.high_qc)}{_tc(message.tc)})"
        case Status():
            return f"status {_qc(message.high_qc)}{_tc(message.tc)}"
        case Fetch():
            return f"fetch {message.block[:4].hex()} above height {message.floor}, at most {message.limit}"
        case Blocks(blocks=blocks):
            return f"blocks {' | '.join(_block(team, block) for block in blocks)}"
        case Column():
            votes = message.severities.hex(" ")
            return f"column of {message.agent} on batch {message.batch}: {votes} {message.signature[:4].hex()}"
        case Proof():
            return f"proof of {message.kind} by {message.culprit}"
    return repr(message)


def _block(team: Team, block: Block) -> str:
    name = statements.block_id(team, block)[:4].hex()
    rests = f"on {_qc(block.qc)}{_tc(block.tc)}"
    return f"v{block.view} h{block.height} {name} by {block.proposer} {rests}, payload {len(block.payload)} B"


def _qc(qc: Qc) -> str:
    return f"qc v{qc.view} {qc.block[:4].hex()} {list(qc.signers)}"


def _tc(tc: Tc | None) -> str:
    return "" if tc is None else f", tc v{tc.view} {list(tc.signers)} high {list(tc.high_views)}"
