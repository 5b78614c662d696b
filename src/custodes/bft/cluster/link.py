"""One connection to another replica, from the end of its handshake to its own: frames in, frames out."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Any, Final, final

from custodes.bft.encoding import MAX_BYTES

if TYPE_CHECKING:
    from custodes.bft.cluster.links import Links

HEADER: Final = struct.Struct("<I")
"""Length of the frame that follows."""
IDLE_SECONDS: Final = 10
"""After so long without a word the other machine is asked whether it is there, and cut off after three questions."""
SILENT_SECONDS: Final = 30
"""What was sent must be received within this time; else the connection is half open and is dropped."""


@final
class Link(asyncio.Protocol):
    """One connection.

    Args:
        links: To whom it belongs.
        expected: Who was dialled; None for one that came in.
    """

    def __init__(self, links: Links, expected: int | None) -> None:
        self._links = links
        self._expected = expected
        self._buffer = bytearray()
        self._waiting: list[bytes] = []
        self._size = 0
        self._loop = asyncio.get_running_loop()
        self.transport: Any = None
        self.peer: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done: see who it is."""
        self.transport = transport
        tune(transport.get_extra_info("socket"))
        peer = self._links.pins.peer(transport.get_extra_info("ssl_object"))
        reason: str | None = "stranger"
        if peer is not None and self._expected in (None, peer):
            self.peer = peer
            reason = self._links.join(peer, self)
        if reason is not None:
            self.peer = None
            self._links.metrics.count_dropped(reason)
            self.transport.abort()

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
                break
            end = start + HEADER.size + size
            if have < end:
                break
            frame = bytes(memoryview(buffer)[start + HEADER.size : end])
            start = end
            self._links.receive(self.peer, frame)
            if self.transport.is_closing():
                break
        if self.transport.is_closing():
            buffer.clear()
        else:
            del buffer[:start]

    def connection_lost(self, error: Exception | None) -> None:
        """Free the place, so that the peer is dialled again."""
        self._buffer.clear()
        self._waiting.clear()
        if self.peer is not None:
            self._links.leave(self.peer, self)

    def send(self, frame: bytes) -> bool:
        """Queue a frame with its header; False where the queue is full and it was dropped."""
        transport = self.transport
        if transport.is_closing() or self._size + transport.get_write_buffer_size() > self._links.send_limit:
            return False
        if not self._waiting:
            # All that one turn of the loop has to say goes out in one piece: a call of the kernel costs more than it.
            self._loop.call_soon(self._flush)
        self._waiting.append(frame)
        self._size += len(frame)
        return True

    def close(self) -> None:
        """End it, dropping what is not sent."""
        if self.transport is not None:
            self.transport.abort()

    def _flush(self) -> None:
        waiting, self._waiting, self._size = self._waiting, [], 0
        if waiting and not self.transport.is_closing():
            self.transport.write(b"".join(waiting))


def tune(connection: Any) -> None:
    """Notice a machine that has gone without a word; where the system has no such setting, its default holds."""
    with contextlib.suppress(OSError, AttributeError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, IDLE_SECONDS // 2)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1_000 * SILENT_SECONDS)
