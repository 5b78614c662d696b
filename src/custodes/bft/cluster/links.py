"""Connections to the other replicas: framed messages over TLS, redialled for ever, never an unbounded queue.

Each pair of replicas shares one connection; the one with the higher index dials. What does not fit into the send buffer
of a peer that does not read is dropped and counted: the protocol stands loss, and memory has to end somewhere.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

from custodes.bft.cluster.metrics import Metrics
from custodes.bft.cluster.tls import Pins
from custodes.bft.encoding import MAX_BYTES

HEADER: Final = struct.Struct("<I")
SEND_LIMIT: Final = 32 * 2**20
"""Bytes that may wait for one peer before messages to it are dropped."""
HANDSHAKE_SECONDS: Final = 5.0
RETRY_SECONDS: Final = (0.05, 2.0)
"""First and longest pause before a peer is dialled again; the pause doubles."""
SHUN_SECONDS: Final = 5.0
"""How long a peer that sent nonsense is not talked to."""
UNKNOWN_LIMIT: Final = 64
"""Connections at once whose other end has not proved who it is."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where a replica listens."""

    host: str
    """Name or address."""
    port: int
    """TCP port, 1 to 65535 (0 while a free one is looked for)."""


@final
class Link(asyncio.Protocol):
    """One connection, from handshake to end."""

    def __init__(self, links: Links, expected: int | None) -> None:
        self._links = links
        self._expected = expected
        self._buffer = bytearray()
        self.transport: Any = None
        self.peer: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done: see who it is."""
        self.transport = transport
        transport.set_write_buffer_limits(high=SEND_LIMIT)  # type: ignore[attr-defined]
        peer = self._links.pins.peer(transport.get_extra_info("ssl_object"))
        if peer is None or (self._expected is not None and peer != self._expected) or not self._links.join(peer, self):
            self._links.metrics.count_dropped("stranger")
            transport.abort()  # type: ignore[attr-defined]
            return
        self.peer = peer

    def data_received(self, data: bytes) -> None:
        """Cut the stream into frames."""
        if self.peer is None:
            return
        buffer = self._buffer
        buffer += data
        start, have = 0, len(buffer)
        while have - start >= HEADER.size:
            (size,) = HEADER.unpack_from(buffer, start)
            if size > MAX_BYTES:
                self._links.shun(self.peer, "frame too long")
                return
            end = start + HEADER.size + size
            if have < end:
                break
            frame = bytes(memoryview(buffer)[start + HEADER.size : end])
            start = end
            self._links.deliver(self.peer, frame)
            if self.transport is None or self.transport.is_closing():
                return
        del buffer[:start]

    def connection_lost(self, error: Exception | None) -> None:
        """Free the place, so that the peer is dialled again."""
        if self.peer is not None:
            self._links.leave(self.peer, self)

    def send(self, frame: bytes) -> bool:
        """Queue a frame with its header; False where the queue is full and it was dropped."""
        if self.transport.is_closing() or self.transport.get_write_buffer_size() > SEND_LIMIT:
            return False
        self.transport.write(frame)
        return True

    def close(self) -> None:
        """End it, dropping what is not sent."""
        if self.transport is not None:
            self.transport.abort()


@final
class Links:
    """All connections of one replica.

    Args:
        index: This replica.
        addresses: Of all replicas, by index.
        pins: Their certificates.
        receive: Called with sender and frame, in the order received per sender.
        metrics: Counts what goes wrong.
    """

    def __init__(
        self,
        *,
        index: int,
        addresses: tuple[Address, ...],
        pins: Pins,
        receive: Callable[[int, bytes], None],
        metrics: Metrics,
    ) -> None:
        self.index, self.pins, self.metrics = index, pins, metrics
        self._addresses, self._receive = addresses, receive
        self._links: dict[int, Link] = {}
        self._gone: dict[int, asyncio.Event] = {}
        self._shunned: dict[int, float] = {}
        self._dialling: list[asyncio.Task[None]] = []
        self._server: asyncio.Server | None = None

    @property
    def connected(self) -> int:
        """To how many peers there is a connection."""
        return len(self._links)

    async def start(self) -> None:
        """Listen, and dial every replica with a lower index."""
        own = self._addresses[self.index]
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Link(self, None),
            own.host,
            own.port,
            ssl=self.pins.server(),
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            backlog=UNKNOWN_LIMIT,
            reuse_address=True,
        )
        context = self.pins.client()
        self._dialling = [asyncio.create_task(self._keep(peer, context)) for peer in range(self.index)]

    async def stop(self) -> None:
        """Close everything."""
        for task in self._dialling:
            task.cancel()
        await asyncio.gather(*self._dialling, return_exceptions=True)
        for link in list(self._links.values()):
            link.close()
        if self._server is not None:
            self._server.close()

    def send(self, peer: int, frame: bytes) -> None:
        """Send a frame (with header) to one peer, or count that it was dropped."""
        link = self._links.get(peer)
        if link is None or not link.send(frame):
            self.metrics.count_unsent(peer)

    def broadcast(self, frame: bytes) -> None:
        """Send a frame to every other replica."""
        for peer in range(len(self._addresses)):
            if peer != self.index:
                self.send(peer, frame)

    def join(self, peer: int, link: Link) -> bool:
        """Take a connection whose other end is known; a newer one replaces an older one, which may be half dead."""
        loop = asyncio.get_running_loop()
        if peer == self.index or self._shunned.get(peer, 0.0) > loop.time():
            return False
        old = self._links.get(peer)
        self._links[peer] = link
        if old is not None:
            old.close()
        return True

    def leave(self, peer: int, link: Link) -> None:
        """A connection has ended."""
        if self._links.get(peer) is link:
            del self._links[peer]
        gone = self._gone.get(peer)
        if gone is not None:
            gone.set()

    def deliver(self, peer: int, frame: bytes) -> None:
        """Pass a frame on."""
        self._receive(peer, frame)

    def shun(self, peer: int, reason: str) -> None:
        """Drop a peer that sent what no honest replica sends, and do not talk to it for a while."""
        self.metrics.count_dropped(reason)
        self._shunned[peer] = asyncio.get_running_loop().time() + SHUN_SECONDS
        link = self._links.get(peer)
        if link is not None:
            link.close()

    async def _keep(self, peer: int, context: Any) -> None:
        """Stay connected to one peer."""
        loop = asyncio.get_running_loop()
        address = self._addresses[peer]
        gone = self._gone[peer] = asyncio.Event()
        pause = RETRY_SECONDS[0]
        while True:
            gone.clear()
            try:
                _, link = await loop.create_connection(
                    lambda: Link(self, peer),
                    address.host,
                    address.port,
                    ssl=context,
                    server_hostname="custodes",
                    ssl_handshake_timeout=HANDSHAKE_SECONDS,
                )
            except OSError:
                link = None
            if link is not None and link.peer is not None:
                pause = RETRY_SECONDS[0]
                await gone.wait()
            await asyncio.sleep(pause)
            pause = min(2 * pause, RETRY_SECONDS[1])
