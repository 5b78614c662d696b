"""One replica as a process: votes in, decisions out, an orderly end on SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, final

from custodes.bft.cluster.links import HEADER
from custodes.bft.cluster.node import Decided, Node, NodeSettings
from custodes.bft.cluster.setup import load_credentials
from custodes.bft.cluster.sources import Lines, Source, Synthetic
from custodes.bft.core.config import ReplicaConfig
from custodes.bft.core.duty import DutyConfig
from custodes.bft.errors import BftError
from custodes.bft.keys import key_name, load_signer


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
    capture: Path | None = None
    """File for every frame that arrives, to check all traffic; None for none."""


@final
@dataclass(kw_only=True)
class _Progress:
    """What is under way."""

    handed_in: dict[int, float] = field(default_factory=dict)
    """When each undecided batch was handed in, monotonic seconds."""
    following: int = 0
    """The next batch to hand in."""
    decided: list[tuple[float, int, float]] = field(default_factory=list)
    """For a summary: when, how many items, seconds since it was handed in."""


def run_process(settings: ProcessSettings) -> None:
    """Run one replica until it is told to stop; prints JSON lines.

    Raises:
        BftError: Files that cannot be used; an address that is taken; a line of input that holds no votes.
    """
    _run(_serve(settings))


def _run(main: Coroutine[Any, Any, None]) -> None:
    """On uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


async def _serve(settings: ProcessSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    progress = _Progress()
    with contextlib.ExitStack() as files:
        node, pump = _make(settings, progress, files)
        server = node.metrics.serve(settings.metrics_port) if settings.metrics_port else None
        try:
            try:
                await node.start()
            except OSError as error:
                raise BftError(f"cannot listen: {error.strerror or error}", where=f"replica {settings.index}") from None
            _say({"ready": node.next_batch, "replica": settings.index})
            await _until(stop, pump, settings)
        finally:
            await node.stop()
            if server is not None:
                server.shutdown()
    if settings.output == "summary":
        _say({"summary": progress.decided, "refused": node.metrics.total("custodes_bft_refused")})
    _say({"stopped": node.next_batch, "replica": settings.index})


def _make(
    settings: ProcessSettings, progress: _Progress, files: contextlib.ExitStack
) -> tuple[Node, Callable[[str | None], None]]:
    """The node, and what hands in votes (given a line, or to look again)."""
    credentials = load_credentials(settings.team, settings.index, settings.transport_key)
    signer = load_signer(settings.key or settings.team.parent / key_name(settings.index))
    if signer.public != credentials.file.team.keys[settings.index]:
        raise BftError(f"this is not the key of replica {settings.index}", where=str(settings.key or settings.team))

    def decided(told: Decided) -> None:
        _tell(told, settings, progress)
        hand_in(None)

    node = Node(
        NodeSettings(
            team=credentials.file.team,
            index=settings.index,
            addresses=credentials.addresses,
            state=settings.state,
            durable=settings.durable,
            fresh=settings.fresh,
            replica=ReplicaConfig(index=settings.index, timeout=settings.timeout),
            duty=DutyConfig(batches=settings.batches),
        ),
        signer,
        credentials.pins,
        on_decided=decided,
        capture=_capture(files.enter_context(settings.capture.open("ab"))) if settings.capture else None,
    )
    progress.following = node.next_batch
    lines = Lines(node.next_batch)
    source: Source = Synthetic(settings.synthetic, settings.index) if settings.synthetic else lines

    def hand_in(line: str | None) -> None:
        if line is not None:
            lines.feed(line)
        progress.following = max(progress.following, node.next_batch)
        while progress.following < node.next_batch + settings.window:
            votes = source.take(progress.following)
            if votes is None:
                return
            progress.handed_in[votes.batch] = time.monotonic()
            progress.following += 1
            node.submit(votes)

    return node, hand_in


async def _until(stop: asyncio.Event, pump: Callable[[str | None], None], settings: ProcessSettings) -> None:
    """Hand in votes until told to stop."""
    pump(None)
    if settings.synthetic:
        await stop.wait()
        return
    ended = asyncio.create_task(stop.wait())
    async for line in _lines(ended):
        pump(line)
    await ended


async def _lines(ended: asyncio.Task[Any]) -> AsyncIterator[str]:
    """Lines of standard input until its end, or until told to stop."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=64 * 2**20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while True:
        reading = asyncio.ensure_future(reader.readline())
        await asyncio.wait((reading, ended), return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            reading.cancel()
            return
        line = reading.result()
        if not line:
            return
        yield line.decode("utf-8", "replace")


def _tell(told: Decided, settings: ProcessSettings, progress: _Progress) -> None:
    """What was decided, on standard output; after this line the decision is acknowledged."""
    import hashlib

    now = time.monotonic()
    for ballot in told.ballots:
        since = progress.handed_in.pop(ballot.batch, None)
        if settings.output == "summary":
            progress.decided.append((now, len(ballot.items), -1.0 if since is None else now - since))
            continue
        row: dict[str, Any] = {"batch": ballot.batch, "height": told.root.height, "view": told.root.view}
        if settings.output == "digests":
            row["digest"] = hashlib.sha256(ballot.decisions).hexdigest()[:16]
        else:
            row["decisions"] = list(ballot.decisions)
        _say(row)


def _capture(file: IO[bytes]) -> Callable[[int, bytes], None]:
    """Writes frames as sender u8, then the frame with its header."""

    def write(sender: int, frame: bytes) -> None:
        file.write(bytes((sender,)) + HEADER.pack(len(frame)) + frame)

    return write


def _say(row: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()
