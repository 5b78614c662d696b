"""One replica as a process: votes in, decisions out, an orderly end on SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal, final

from custodes.bft.cluster.delivery import Decided
from custodes.bft.cluster.journal import KEEP_BYTES
from custodes.bft.cluster.link import HEADER
from custodes.bft.cluster.node import Node, NodeSettings
from custodes.bft.cluster.setup import load_credentials
from custodes.bft.cluster.sources import Lines, Source, Synthetic
from custodes.bft.cluster.stdin import standard_input
from custodes.bft.core.config import ReplicaConfig
from custodes.bft.core.duty import BatchVotes, DutyConfig
from custodes.bft.errors import BftError
from custodes.bft.keys import key_name, load_signer
from custodes.bft.safeguard import Safeguard

INCLUSION_SHARE: Final = 4 / 7
"""Of the time of a view: a view lasts at least seven message delays, a held column must be included after four."""
HAND_IN_SHARE: Final = 2
"""Votes are handed in when this share (one of two) of the batches that may be in flight is free: one wait for the disk
serves them all. There is always a decision to come that asks again while fewer are free."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessSettings:
    """One replica, as the command line describes it."""

    team: Path
    """Team file."""
    index: int
    """Which replica."""
    state: Path
    """Its folder."""
    key: Path | None = None
    """Its private key; beside the team file by default."""
    transport_key: Path | None = None
    """Private key of its certificate; beside the team file by default."""
    fresh: bool = False
    """See `NodeSettings`."""
    durable: bool = True
    """See `NodeSettings`."""
    synthetic: int = 0
    """Items per made-up batch; 0 reads votes from standard input."""
    window: int = 8
    """Batches handed in and not decided yet, at most."""
    batches: int = 8
    """Batches per block, at most."""
    timeout: float = 1.0
    """How long a view may last, seconds."""
    metrics_port: int = 0
    """Port for Prometheus on 127.0.0.1; 0 for none."""
    output: Literal["decisions", "digests", "summary"] = "decisions"
    """What is told of decisions: all of them, a digest per batch, or times and latencies at the end."""
    column_delay: float = 0.01
    """How long a leader waits for the votes of the last f agents, seconds; longer costs latency while one is silent,
    shorter decides without votes that were on their way."""
    keep_bytes: int = KEEP_BYTES
    """See `NodeSettings`."""
    deferred: bool = False
    """Wait for the disk beside the protocol's work; False waits in it."""
    capture: Path | None = None
    """File for every frame that arrives, to check all traffic; None for none."""


def run_process(settings: ProcessSettings, guard: Safeguard | None = None) -> None:
    """Run one replica until it is told to stop; prints JSON lines.

    Args:
        settings: The replica.
        guard: What may overrule the vote rule, the same at all replicas; None for nothing.

    Raises:
        BftError: Files that cannot be used; an address that is taken; a line of input that holds no votes.
    """
    _fill_standard_handles()
    # A thread that has waited for the disk gets on after at most this long.
    sys.setswitchinterval(0.0005)
    _run(_serve(settings, guard))


def _fill_standard_handles() -> None:
    """Give 0, 1 and 2 to nobody else where they were closed from the start: a log must not be taken for an input."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(handle)


def _run(main: Coroutine[Any, Any, None]) -> None:
    """On uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


async def _serve(settings: ProcessSettings, guard: Safeguard | None) -> None:
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _end, ended, None)
    with contextlib.ExitStack() as files:
        agent = _Agent(settings, files, lambda error: _end(ended, error), guard)
        try:
            await agent.node.start()
            _say({"ready": agent.node.next_batch, "replica": settings.index})
            await agent.work(ended)
        finally:
            await agent.node.stop()
    if settings.output == "summary":
        _say({"summary": agent.measured, "refused": agent.node.metrics.total("custodes_bft_refused")})
    _say({"stopped": agent.node.next_batch, "replica": settings.index})


def _end(ended: asyncio.Future[None], error: Exception | None) -> None:
    """The process is to end; the first reason counts."""
    if ended.done():
        return
    if error is None:
        ended.set_result(None)
    else:
        ended.set_exception(error)


@final
class _Agent:
    """The local agent of a replica: hands in votes, tells decisions.

    Args:
        settings: The command line.
        files: Closes what is opened here.
        failed: Called when the replica cannot go on.
        guard: What may overrule the vote rule.
    """

    def __init__(
        self,
        settings: ProcessSettings,
        files: contextlib.ExitStack,
        failed: Callable[[Exception], None],
        guard: Safeguard | None = None,
    ) -> None:
        self._settings, self._guard = settings, guard
        self._handed_in: dict[int, float] = {}
        self._room = asyncio.Event()
        self.measured: list[tuple[float, int, float]] = []
        """For a summary: when, how many items, seconds since they were handed in."""
        self.node = self._node(files, failed)
        self._following = self.node.next_batch
        self._lines = Lines(self.node.next_batch)
        self._source: Source = Synthetic(settings.synthetic, settings.index) if settings.synthetic else self._lines
        if settings.metrics_port:
            try:
                files.callback(self.node.metrics.serve(settings.metrics_port))
            except BftError:
                self.node.close()
                raise

    async def work(self, ended: asyncio.Future[None]) -> None:
        """Hand in votes until told to end.

        Raises:
            BftError: A line of input holds no votes; the replica cannot go on.
        """
        self._hand_in()
        if self._settings.synthetic:
            await ended
            return
        reading = asyncio.create_task(self._read())
        await asyncio.wait((reading, ended), return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            # The input has ended: the others still need this replica's signatures. A bad line ends it.
            reading.result()
        else:
            reading.cancel()
        await ended

    async def _read(self) -> None:
        """Take lines, not faster than they are decided."""
        if sys.stdin is None:
            return  # Closed from the start; its number may be another file's by now.
        async for line in standard_input():
            self._lines.feed(line)
            self._hand_in()
            while self._lines.waiting > self._settings.window:
                self._room.clear()
                await self._room.wait()

    def _node(self, files: contextlib.ExitStack, failed: Callable[[Exception], None]) -> Node:
        settings = self._settings
        credentials = load_credentials(settings.team, settings.index, settings.transport_key)
        signer = load_signer(settings.key or settings.team.parent / key_name(settings.index))
        if signer.public != credentials.file.team.keys[settings.index]:
            raise BftError(f"this is not the key of replica {settings.index}", where=str(settings.key or settings.team))
        return Node(
            NodeSettings(
                team=credentials.file.team,
                index=settings.index,
                addresses=credentials.addresses,
                state=settings.state,
                durable=settings.durable,
                fresh=settings.fresh,
                keep_bytes=settings.keep_bytes,
                replica=ReplicaConfig(
                    index=settings.index, timeout=settings.timeout, deferred=settings.durable and settings.deferred
                ),
                duty=DutyConfig(
                    batches=settings.batches,
                    inclusion_delay=INCLUSION_SHARE * settings.timeout,
                    column_delay=settings.column_delay,
                ),
            ),
            signer,
            credentials.pins,
            on_decided=self._decided,
            on_failure=failed,
            capture=_capture(files.enter_context(settings.capture.open("ab"))) if settings.capture else None,
            guard=self._guard,
        )

    def _hand_in(self) -> None:
        """Hand in the next batches, as far as there are votes and room, and several at once when many are in flight."""
        node, window = self.node, self._settings.window
        self._following = max(self._following, node.next_batch)
        room = node.next_batch + window - self._following
        if room < window // HAND_IN_SHARE:
            return
        now = time.monotonic()
        taken: list[BatchVotes] = []
        while len(taken) < room and (votes := self._source.take(self._following)) is not None:
            self._handed_in[votes.batch] = now
            self._following += 1
            taken.append(votes)
        if taken:
            node.submit(tuple(taken))

    def _decided(self, told: Decided) -> None:
        """Print what was decided; after its line a decision is acknowledged."""
        now = time.monotonic()
        for ballot in told.ballots:
            since = self._handed_in.pop(ballot.batch, None)
            if since is not None:
                self.node.metrics.latency.observe(now - since)
            if self._settings.output == "summary":
                self.measured.append((now, len(ballot.items), -1.0 if since is None else now - since))
                continue
            row: dict[str, Any] = {"batch": ballot.batch, "height": told.root.height, "view": told.root.view}
            if self._settings.output == "digests":
                row["digest"] = hashlib.sha256(ballot.taken).hexdigest()[:16]
            else:
                row["decisions"] = list(ballot.decisions)
                if ballot.guard:
                    row["actions"] = list(ballot.taken)
                    row["overruled"] = [note for note in told.notes if note["batch"] == ballot.batch]
            _say(row)
        self._room.set()
        self._hand_in()


def _capture(file: IO[bytes]) -> Callable[[int, bytes], None]:
    """Writes frames as sender u8, then the frame with its header."""

    def write(sender: int, frame: bytes) -> None:
        file.write(bytes((sender,)) + HEADER.pack(len(frame)) + frame)

    return write


def _say(row: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()
