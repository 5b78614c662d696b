"""Connections to the other replicas: framed messages over TLS, redialled for ever, never an unbounded queue.

Each pair of replicas shares one connection; the one with the higher index dials. What does not fit into the send buffer
of a peer that does not read is dropped and counted: the protocol stands loss, and memory has to end somewhere. At most
`UNKNOWN_LIMIT` connections at once may be in their handshake, and none for longer than `HANDSHAKE_SECONDS`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

from custodes.bft.cluster.link import Link, tune
from custodes.bft.cluster.metrics import Metrics
from custodes.bft.cluster.tls import Pins
from custodes.bft.errors import BftError

SEND_LIMIT: Final = 32 * 2**20
"""Bytes that may wait for one peer before messages to it are dropped."""
SEND_TOTAL: Final = 256 * 2**20
"""Bytes that may wait for all peers together."""
HANDSHAKE_SECONDS: Final = 5.0
RETRY_SECONDS: Final = (0.05, 2.0)
"""First and longest pause before a peer is dialled again; the pause doubles."""
SHUN_SECONDS: Final = 5.0
"""How long a peer that sent nonsense is not talked to."""
UNKNOWN_LIMIT: Final = 64
"""Connections at once whose other end has not proved who it is; more are closed at once."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where a replica listens."""

    host: str
    """Name or address."""
    port: int
    """TCP port, 1 to 65535."""


@final
class Links:
    """All connections of one replica.

    Args:
        index: This replica.
        addresses: Of all replicas, by index.
        pins: Their certificates.
        receive: Called with sender and frame, in the order received per sender.
        joined: Called with a peer to whom there is a new connection.
        metrics: Counts what goes wrong.
    """

    def __init__(
        self,
        *,
        index: int,
        addresses: tuple[Address, ...],
        pins: Pins,
        receive: Callable[[int, bytes], None],
        joined: Callable[[int], None],
        metrics: Metrics,
    ) -> None:
        self.index, self.pins, self.metrics = index, pins, metrics
        self.receive = receive
        self.send_limit = min(SEND_LIMIT, SEND_TOTAL // len(addresses))
        self._addresses, self._joined = addresses, joined
        self._links: dict[int, Link] = {}
        self._gone: dict[int, asyncio.Event] = {}
        self._shunned: dict[int, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._unknown = 0
        self._listeners: list[socket.socket] = []

    @property
    def connected(self) -> int:
        """To how many peers there is a connection."""
        return len(self._links)

    async def start(self) -> None:
        """Listen, and dial every replica with a lower index.

        Raises:
            BftError: It cannot listen at its address.
        """
        own = self._addresses[self.index]
        where = f"replica {self.index}, {own.host}:{own.port}"
        try:
            self._listeners = await _listen(own)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise BftError(f"cannot listen: {reason}", where=where, fix="free the port, or change the team") from None
        inward, outward = self.pins.server(), self.pins.client()
        for listener in self._listeners:
            self._spawn(self._accept(listener, inward))
        for peer in range(self.index):
            self._spawn(self._keep(peer, outward))

    async def stop(self) -> None:
        """Close everything."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for link in list(self._links.values()):
            link.close()
        for listener in self._listeners:
            listener.close()
        # Transports close their sockets in the next turn of the loop.
        await asyncio.sleep(0)

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

    def join(self, peer: int, link: Link) -> str | None:
        """Take a connection whose other end is known; a newer one replaces an older one, which may be half dead.

        Returns:
            Why it is not taken.
        """
        if peer == self.index:
            return "own certificate"
        if self._shunned.get(peer, 0.0) > asyncio.get_running_loop().time():
            return "shunned"
        old = self._links.get(peer)
        self._links[peer] = link
        if old is not None:
            old.close()
        self._joined(peer)
        return None

    def leave(self, peer: int, link: Link) -> None:
        """A connection has ended."""
        if self._links.get(peer) is link:
            del self._links[peer]
        gone = self._gone.get(peer)
        if gone is not None:
            gone.set()

    def shun(self, peer: int, reason: str) -> None:
        """Drop a peer that sent what no honest replica sends, and do not talk to it for a while."""
        self.metrics.count_dropped(reason)
        self._shunned[peer] = asyncio.get_running_loop().time() + SHUN_SECONDS
        link = self._links.get(peer)
        if link is not None:
            link.close()

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket, context: Any) -> None:
        """Take connections in; never more unknown ones than the limit."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                taken, _ = await loop.sock_accept(listener)
            except OSError:
                # Out of file handles, or the caller has gone: neither may end this loop, nor make it spin.
                await asyncio.sleep(RETRY_SECONDS[0])
                continue
            if self._unknown >= UNKNOWN_LIMIT:
                self.metrics.count_dropped("too many unknown")
                taken.close()
                continue
            self._unknown += 1
            self._spawn(self._greet(taken, context))

    async def _greet(self, taken: socket.socket, context: Any) -> None:
        """Handshake with whoever has called."""
        loop = asyncio.get_running_loop()
        try:
            taken.setblocking(False)
            tune(taken)
            await loop.connect_accepted_socket(
                lambda: Link(self, None), taken, ssl=context, ssl_handshake_timeout=HANDSHAKE_SECONDS
            )
        except OSError:
            # Not TLS, another certificate, too slow, or gone.
            self.metrics.count_dropped("handshake")
        finally:
            self._unknown -= 1

    async def _keep(self, peer: int, context: Any) -> None:
        """Stay connected to one peer."""
        gone = self._gone[peer] = asyncio.Event()
        pause = RETRY_SECONDS[0]
        while True:
            gone.clear()
            if await self._dial(peer, context):
                pause = RETRY_SECONDS[0]
                await gone.wait()
            await asyncio.sleep(pause)
            pause = min(2 * pause, RETRY_SECONDS[1])

    async def _dial(self, peer: int, context: Any) -> bool:
        """Connect to one peer; False where that fails."""
        loop = asyncio.get_running_loop()
        address = self._addresses[peer]
        try:
            async with asyncio.timeout(2 * HANDSHAKE_SECONDS):
                _, link = await loop.create_connection(
                    lambda: Link(self, peer),
                    address.host,
                    address.port,
                    ssl=context,
                    server_hostname="custodes",
                    ssl_handshake_timeout=HANDSHAKE_SECONDS,
                )
        except ssl.SSLError:
            self.metrics.count_dropped("handshake")
            return False
        except (OSError, UnicodeError):
            return False
        return link.peer is not None


async def _listen(address: Address) -> list[socket.socket]:
    """Sockets that listen at each address that a name stands for."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    with contextlib.ExitStack() as undo:
        listeners = []
        for family, kind, protocol, _, place in dict.fromkeys(found):
            listener = undo.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(place)
            listener.listen(UNKNOWN_LIMIT)
            listener.setblocking(False)
            listeners.append(listener)
        undo.pop_all()
    return listeners
