"""Who is let in, what is framed, what is dropped, what is dialled again."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
from pathlib import Path

import pytest

from custodes.bft.cluster import links as module
from custodes.bft.cluster.link import HEADER
from custodes.bft.cluster.setup import CERTIFICATES, certificate_name, transport_key_name
from custodes.bft.cluster.tls import make_identity
from custodes.bft.encoding import MAX_BYTES
from custodes.bft.errors import BftError
from tests.bft.cluster.peers import Peer, as_replica, as_stranger, framed, until


@contextlib.asynccontextmanager
async def running(*peers: Peer):  # type: ignore[no-untyped-def]
    """Started links, stopped in the end."""
    try:
        for peer in peers:
            await peer.links.start()
        yield
    finally:
        for peer in peers:
            await peer.links.stop()


async def call(peer: Peer, context: ssl.SSLContext | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(
        peer.address.host, peer.address.port, ssl=context, server_hostname="x" if context else None
    )


async def hung_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether the other end closes within seconds."""
    try:
        async with asyncio.timeout(120):
            closed = await reader.read() == b""
    except OSError:
        closed = True
    writer.transport.abort()
    return closed


async def refuses(peer: Peer, context: ssl.SSLContext) -> bool:
    """Whether a caller with this certificate is sent away. TLS 1.3 tells a client only after its own handshake."""
    try:
        reader, writer = await call(peer, context)
    except OSError:
        return True
    return await hung_up(reader, writer)


def test_frames_arrive_whole_and_in_order(folder: Path) -> None:
    async def main() -> None:
        low, high = Peer(folder, 0), Peer(folder, 1)
        async with running(low, high):
            await until(lambda: low.links.connected == high.links.connected == 1)
            bodies = [b"", b"a", b"x" * MAX_BYTES, *(b"%d" % number for number in range(200))]
            for body in bodies:
                high.links.broadcast(framed(body))
            low.links.send(1, framed(b"back"))
            await until(lambda: len(low.received) == len(bodies) and high.received)
            assert low.received == [(1, body) for body in bodies]
            assert high.received == [(0, b"back")]
            assert (low.joined, high.joined) == ([1], [0])
            assert high.unsent(2) == len(bodies)

    asyncio.run(main())


def test_strangers_are_refused_and_counted(folder: Path) -> None:
    async def main() -> None:
        peer = Peer(folder, 0)
        async with running(peer):
            assert await refuses(peer, as_stranger(folder))
            await until(lambda: peer.dropped("handshake") == 1)
            reader, writer = await call(peer, None)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            with contextlib.suppress(OSError):
                await writer.drain()
            with contextlib.suppress(OSError):
                await reader.read()
            writer.transport.abort()
            await until(lambda: peer.dropped("handshake") == 2)
            assert await refuses(peer, as_replica(folder, 0))
            await until(lambda: peer.dropped("own certificate") == 1)
            assert (peer.joined, peer.links.connected) == ([], 0)

    asyncio.run(main())


def test_a_caller_checks_who_answers(folder: Path, tmp_path: Path) -> None:
    # Replica 0 answers with a certificate that nobody pinned, then with that of replica 2.
    async def main(impostor: Path) -> None:
        fake, caller = Peer(folder, 0), Peer(folder, 1)
        fake.links.pins._own = (impostor / "shown.crt", impostor / "shown.key")
        async with running(fake, caller):
            await until(lambda: caller.dropped("handshake") + caller.dropped("stranger") >= 1)
            caller.links.broadcast(framed(b"secret"))
            assert (caller.links.connected, caller.joined, fake.received) == (0, [], [])

    identity = make_identity("impostor")
    (tmp_path / "shown.crt").write_bytes(identity.certificate)
    (tmp_path / "shown.key").write_bytes(identity.key)
    asyncio.run(main(tmp_path))
    shutil.copy(folder / CERTIFICATES / certificate_name(2), tmp_path / "shown.crt")
    shutil.copy(folder / transport_key_name(2), tmp_path / "shown.key")
    asyncio.run(main(tmp_path))


def test_who_sends_a_frame_that_is_too_long_is_shunned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHUN_SECONDS", 0.3)

    async def main() -> None:
        peer = Peer(folder, 0)
        async with running(peer):
            reader, writer = await call(peer, as_replica(folder, 3))
            writer.write(framed(b"good") + HEADER.pack(MAX_BYTES + 1) + b"rest")
            assert await hung_up(reader, writer)
            assert peer.received == [(3, b"good")]
            assert peer.dropped("frame too long") == 1
            assert await refuses(peer, as_replica(folder, 3))
            assert peer.dropped("shunned") == 1
            await asyncio.sleep(0.4)
            reader, writer = await call(peer, as_replica(folder, 3))
            writer.write(framed(b"again"))
            await until(lambda: peer.received[-1] == (3, b"again"))
            writer.transport.abort()

    asyncio.run(main())


def test_what_a_peer_does_not_read_is_dropped(folder: Path) -> None:
    async def main() -> None:
        peer = Peer(folder, 0)
        peer.links.send_limit = 2**20
        async with running(peer):
            reader, writer = await call(peer, as_replica(folder, 2))
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await until(lambda: peer.links.connected == 1)
            for _ in range(400):
                peer.links.send(2, framed(bytes(2**16)))
                await asyncio.sleep(0)
            link = peer.links._links[2]
            assert peer.unsent(2) > 100
            assert link._size + link.transport.get_write_buffer_size() < 2 * 2**20
            writer.transport.abort()
            await until(lambda: peer.links.connected == 0)
            del reader

    asyncio.run(main())


def test_a_peer_is_dialled_again_after_it_restarts(folder: Path) -> None:
    async def main() -> None:
        high = Peer(folder, 1)
        async with running(high):
            for _ in range(2):
                low = Peer(folder, 0)
                async with running(low):
                    await until(lambda: high.links.connected == 1)
                    high.links.send(0, framed(b"hello"))
                    received = low.received
                    await until(received.__len__)
                    assert received == [(1, b"hello")]
                await until(lambda: high.links.connected == 0)
            assert high.joined == [0, 0]

    asyncio.run(main())


def test_a_newer_connection_replaces_an_older_one(folder: Path) -> None:
    async def main() -> None:
        peer = Peer(folder, 0)
        async with running(peer):
            old = await call(peer, as_replica(folder, 1))
            await until(lambda: peer.joined == [1])
            new = await call(peer, as_replica(folder, 1))
            assert await hung_up(*old)
            new[1].write(framed(b"here"))
            await until(lambda: peer.received == [(1, b"here")])
            assert peer.links.connected == 1
            new[1].transport.abort()

    asyncio.run(main())


def test_slow_handshakes_cannot_lock_others_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNKNOWN_LIMIT", 5)
    monkeypatch.setattr(module, "HANDSHAKE_SECONDS", 0.5)

    async def main() -> None:
        peer = Peer(folder, 0)
        async with running(peer):
            silent = [await call(peer, None) for _ in range(8)]
            await until(lambda: peer.dropped("too many unknown") == 3)
            await until(lambda: peer.dropped("handshake") == 5)
            reader, writer = await call(peer, as_replica(folder, 1))
            await until(lambda: peer.links.connected == 1)
            for _, each in [*silent, (reader, writer)]:
                each.transport.abort()

    asyncio.run(main())


def test_a_port_in_use_is_one_line(folder: Path) -> None:
    async def main() -> None:
        first, second = Peer(folder, 0), Peer(folder, 0)
        async with running(first):
            with pytest.raises(
                BftError, match=r"replica 0, 127\.0\.0\.1:\d+: cannot listen: .*in use.*; free the port"
            ):
                await second.links.start()
            await second.links.stop()

    asyncio.run(main())


def test_a_host_that_does_not_exist_is_one_line(folder: Path) -> None:
    async def main() -> None:
        peer = Peer(folder, 0)
        peer.links._addresses = (module.Address(host="no-such-host.invalid", port=1), *peer.links._addresses[1:])
        with pytest.raises(BftError, match=r"no-such-host\.invalid:1: cannot listen"):
            await peer.links.start()

    asyncio.run(main())
