"""A live team whose replica 3 is the fuzzer: garbage over real sockets, from strangers and under a pinned key.

Three honest replicas (processes, made-up votes) must stay alive, go on committing, keep their memory within
`MEMORY_BOUND` of what it was, and drop and count what no honest peer sends.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import time
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, final

from benchmarks.bft_fuzz_codec import Maker
from custodes.bft import statements
from custodes.bft.cluster.link import HEADER
from custodes.bft.cluster.local import LocalTeam, free_ports
from custodes.bft.cluster.setup import CERTIFICATES, certificate_name, load_credentials, transport_key_name
from custodes.bft.cluster.tls import make_identity
from custodes.bft.encoding import MAX_BYTES, decode, encode
from custodes.bft.errors import BftError, DecodeError
from custodes.bft.keys import TEAM_FILE, key_name, load_signer
from custodes.bft.messages import Blocks, Column, Fetch, Message, Proposal, Timeout, Vote

MEMORY_BOUND: Final = 256 * 2**20
"""Bytes by which a replica's resident memory may grow: its connections' buffers (16 MiB of a frame that never ends and
32 MiB that a peer does not read, from one liar), the memory of evidence, and 1,024 blocks for peers that lag."""
STILL: Final = 30.0
"""Seconds within which every honest replica decides something more."""
LIAR: Final = 3
_SHUNNED: Final = frozenset(("random frames", "damaged frames", "too long"))


@final
@dataclass(kw_only=True)
class Live:
    """What was found out."""

    attacks: dict[str, int] = field(default_factory=dict)
    """How often each kind of attack was made."""
    sent: int = 0
    """Frames sent under the pinned key."""
    decided: list[int] = field(default_factory=list)
    """Batches that each honest replica decided."""
    growth_mib: list[float] = field(default_factory=list)
    """Growth of each one's resident memory, MiB, largest seen."""
    dropped: float = 0
    """Connections that they dropped, by their metrics."""
    refused: float = 0
    """Messages that they refused."""
    faults: list[str] = field(default_factory=list)
    """What must not be."""


@final
class _Liar:
    """Everything that the fuzzer does, one attack at a time."""

    def __init__(self, folder: Path, seed: int, found: Live) -> None:
        self._random, self._maker, self._found = random.Random(seed), Maker(seed), found
        credentials = load_credentials(folder / TEAM_FILE, LIAR)
        self._team, self._addresses = credentials.file.team, credentials.addresses
        self._signer = load_signer(folder / key_name(LIAR))
        self._own = _context(folder / CERTIFICATES / certificate_name(LIAR), folder / transport_key_name(LIAR))
        identity = make_identity("stranger")
        (folder / "stranger.crt").write_bytes(identity.certificate)
        (folder / "stranger.key").write_bytes(identity.key)
        self._foreign = _context(folder / "stranger.crt", folder / "stranger.key")
        self._heard: list[bytes] = []
        self._silent: list[asyncio.StreamWriter] = []
        self._attacks: tuple[tuple[str, Callable[[], Awaitable[None]]], ...] = (
            ("plain bytes", self._plain),
            ("silent handshakes", self._crowd),
            ("foreign certificate", self._stranger),
            ("random frames", lambda: self._peer(self._random_frames)),
            ("damaged frames", lambda: self._peer(self._damaged)),
            ("wrong values", lambda: self._peer(self._wrong)),
            ("signed lies", lambda: self._peer(self._lies)),
            ("replays", lambda: self._peer(self._replays)),
            ("too long", lambda: self._peer(self._too_long)),
            ("half a frame", lambda: self._peer(self._half)),
            ("flood of questions", lambda: self._peer(self._questions)),
        )

    async def run(self, seconds: float) -> None:
        """Attack until the time is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            # What gets a peer shunned comes seldom, or the rest would hardly be listened to.
            weights = [1 if name in _SHUNNED else 5 for name, _ in self._attacks]
            ((name, attack),) = self._random.choices(self._attacks, weights)
            self._found.attacks[name] = self._found.attacks.get(name, 0) + 1
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                async with asyncio.timeout(10):
                    await attack()
        for writer in self._silent:
            writer.transport.abort()

    async def _open(self, context: ssl.SSLContext | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = self._addresses[self._random.randrange(LIAR)]
        name = "custodes" if context else None
        return await asyncio.open_connection(address.host, address.port, ssl=context, server_hostname=name)

    async def _plain(self) -> None:
        _, writer = await self._open(None)
        start = self._random.choice((b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n"))
        writer.write(start + self._maker.raw(self._random.randrange(5_000)))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()

    async def _crowd(self) -> None:
        """Connections that say nothing, or next to nothing, and stay."""
        for writer in self._silent[:-80]:
            writer.transport.abort()
        self._silent = self._silent[-80:]
        for _ in range(40):
            _, writer = await self._open(None)
            writer.write(b"\x16\x03\x01\x02\x00\x01"[: self._random.randrange(7)])
            self._silent.append(writer)

    async def _stranger(self) -> None:
        _, writer = await self._open(self._foreign)
        writer.write(HEADER.pack(10) + bytes(10))
        await writer.drain()
        writer.transport.abort()

    async def _peer(self, talk: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> None:
        """Listen a little under the pinned key, then talk."""
        reader, writer = await self._open(self._own)
        try:
            listening = asyncio.create_task(self._listen(reader))
            await asyncio.sleep(self._random.uniform(0.02, 0.2))
            await talk(writer)
            await asyncio.sleep(0.05)
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError, asyncio.IncompleteReadError):
                await listening
        finally:
            writer.transport.abort()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                (size,) = HEADER.unpack(await reader.readexactly(HEADER.size))
                self._heard.append(await reader.readexactly(size))
                del self._heard[:-200]

    async def _say(self, writer: asyncio.StreamWriter, frame: bytes) -> None:
        if writer.transport.is_closing():
            raise ConnectionResetError("cut off")
        self._found.sent += 1
        writer.write(HEADER.pack(len(frame)) + frame)
        await writer.drain()

    def _some(self) -> bytes:
        return self._random.choice(self._heard) if self._heard else encode(self._maker.message())

    async def _random_frames(self, writer: asyncio.StreamWriter) -> None:
        await self._say(writer, self._maker.raw(self._random.randrange(2_000)))

    async def _damaged(self, writer: asyncio.StreamWriter) -> None:
        for _ in range(20):
            await self._say(writer, self._maker.damage(self._some(), self._some()))

    async def _wrong(self, writer: asyncio.StreamWriter) -> None:
        """Well-formed messages with values that nobody signed."""
        for _ in range(300):
            message = self._heard_message() if self._random.random() < 0.5 else self._maker.message()
            with contextlib.suppress(DecodeError):
                await self._say(writer, encode(self._alter(message)))

    async def _lies(self, writer: asyncio.StreamWriter) -> None:
        """Statements of all kinds under the liar's own valid signature, for near and far views and batches."""
        for _ in range(300):
            with contextlib.suppress(DecodeError):
                await self._say(writer, encode(self._signed()))

    async def _replays(self, writer: asyncio.StreamWriter) -> None:
        for _ in range(300):
            await self._say(writer, self._some())

    async def _too_long(self, writer: asyncio.StreamWriter) -> None:
        writer.write(HEADER.pack(self._random.choice((MAX_BYTES + 1, 2**31, 2**32 - 1))) + bytes(1_000))
        await writer.drain()

    async def _half(self, writer: asyncio.StreamWriter) -> None:
        writer.write(HEADER.pack(MAX_BYTES) + bytes(self._random.choice((0, 1, 10**5, MAX_BYTES - 1))))
        await writer.drain()
        await asyncio.sleep(self._random.uniform(0.0, 0.5))

    async def _questions(self, writer: asyncio.StreamWriter) -> None:
        """For blocks that there are, without reading the answers."""
        asked = [self._heard_message() for _ in range(5)]
        names = [message.block for message in asked if isinstance(message, Vote)] or [self._maker.raw(32)]
        for _ in range(2_000):
            await self._say(writer, encode(Fetch(block=self._random.choice(names), floor=0, limit=64)))

    def _heard_message(self) -> Message:
        try:
            return decode(self._some())
        except DecodeError:
            return self._maker.message()

    def _alter(self, message: Message) -> Message:
        if isinstance(message, Blocks):
            return Blocks(blocks=(*message.blocks, self._maker.block())[-3:])
        if isinstance(message, Proposal):
            return replace(message, block=self._alter_fields(message.block))
        altered: Message = self._alter_fields(message)
        return altered

    def _alter_fields(self, value: Any) -> Any:
        changes: dict[str, Any] = {}
        for name in ("view", "height", "batch", "qc_view", "tc_high", "floor"):
            if hasattr(value, name) and self._random.random() < 0.4:
                changes[name] = self._near(getattr(value, name))
        if hasattr(value, "voter"):
            changes["voter"] = LIAR
        if hasattr(value, "payload") and self._random.random() < 0.5:
            changes["payload"] = self._maker.payload()
        return replace(value, **changes)

    def _near(self, number: int) -> int:
        return self._random.choice((number + self._random.randrange(-3, 20), self._maker.number(), 0, 2**62))

    def _signed(self) -> Message:
        message = self._alter(self._heard_message())
        team, sign = self._team, self._signer.sign
        if isinstance(message, Vote):
            return replace(message, signature=sign(statements.statement_of_vote(team, message)))
        if isinstance(message, Timeout):
            return replace(message, signature=sign(statements.statement_of_timeout(team, message)))
        if isinstance(message, Column):
            message = replace(message, agent=LIAR)
            return replace(message, signature=sign(statements.statement_of_column(team, message)))
        if isinstance(message, Proposal):
            block = message.block
            block = replace(block, proposer=LIAR, view=block.view // team.n * team.n + team.n + LIAR)
            return Proposal(block=block, signature=sign(statements.statement_of_proposal(team, block)))
        return message


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    return context


@final
class _Watch:
    """Looks at the honest replicas while they are attacked."""

    def __init__(self, team: LocalTeam, found: Live) -> None:
        self._team, self._found = team, found
        self._before = [self._memory(index) for index in range(LIAR)]
        self._worst = list(self._before)
        self._last = [(0, time.monotonic()) for _ in range(LIAR)]

    async def run(self, seconds: float) -> None:
        """Look twice a second."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._found.faults:
            for index in range(LIAR):
                self._look(index)
            await asyncio.sleep(0.5)
        self._found.growth_mib = [
            round((worst - before) / 2**20, 1) for worst, before in zip(self._worst, self._before, strict=True)
        ]

    def _look(self, index: int) -> None:
        replica, faults = self._team.replicas[index], self._found.faults
        if replica.process.poll() is not None:
            faults.append(f"replica {index} ended with {replica.process.returncode}{replica.last_words()}")
            return
        self._worst[index] = max(self._worst[index], self._memory(index))
        if self._worst[index] - self._before[index] > MEMORY_BOUND:
            faults.append(f"replica {index} grew to {self._worst[index]} bytes")
        decided, since = len(replica.rows), self._last[index][1]
        if decided > self._last[index][0]:
            self._last[index] = (decided, time.monotonic())
        elif time.monotonic() > since + STILL:
            faults.append(f"replica {index} decided nothing for {STILL:.0f} s")

    def _memory(self, index: int) -> int:
        status = Path(f"/proc/{self._team.replicas[index].process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return 1024 * int(line.split()[1])


def fuzz_live(folder: Path, seconds: float, seed: int) -> Live:
    """Attack a team in a folder."""
    found, ports = Live(), free_ports(4)
    options = ("--synthetic", "20", "--output", "digests", "--timeout", "0.3")
    team = LocalTeam(folder, 4, options, of_each=lambda index: ("--metrics", str(ports[index])))
    try:
        with team:
            for replica in team.replicas:
                replica.wait_for("batch")
            team.replicas[LIAR].process.terminate()
            team.replicas[LIAR].end()
            asyncio.run(_both(team, folder, seconds, seed, found))
            for port in ports[:LIAR]:
                _read_metrics(port, found)
            found.decided = [sum("batch" in row for row in replica.rows) for replica in team.replicas[:LIAR]]
            codes = team.stop()
    except (BftError, OSError) as error:
        found.faults.append(str(error))
        return found
    found.faults += [f"replica {index} ended with exit code {code}" for index, code in enumerate(codes) if code]
    for index in range(LIAR):
        words = (folder / f"replica-{index}.log").read_text(errors="replace").strip()
        if words:
            found.faults.append(f"replica {index} said: {words[-300:]}")
    if not found.dropped or not found.refused:
        found.faults.append("bad peers were not counted")
    return found


async def _both(team: LocalTeam, folder: Path, seconds: float, seed: int, found: Live) -> None:
    attacking = asyncio.create_task(_Liar(folder, seed, found).run(seconds))
    await _Watch(team, found).run(seconds)
    attacking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await attacking


def _read_metrics(port: int, found: Live) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("custodes_bft_connections_dropped_total"):
                found.dropped += float(line.split()[-1])
            elif line.startswith("custodes_bft_refused_total"):
                found.refused += float(line.split()[-1])
