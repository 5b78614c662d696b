"""Ends of connections for tests: replicas' links without replicas, and callers from outside."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from custodes.bft.cluster.link import HEADER
from custodes.bft.cluster.links import Links
from custodes.bft.cluster.metrics import Metrics
from custodes.bft.cluster.setup import CERTIFICATES, certificate_name, load_credentials, transport_key_name
from custodes.bft.cluster.tls import make_identity
from custodes.bft.keys import TEAM_FILE


class Peer:
    """The links of one replica, and what arrived on them."""

    def __init__(self, folder: Path, index: int) -> None:
        credentials = load_credentials(folder / TEAM_FILE, index)
        self.metrics = Metrics()
        self.received: list[tuple[int, bytes]] = []
        self.joined: list[int] = []
        self.address = credentials.addresses[index]
        self.links = Links(
            index=index,
            addresses=credentials.addresses,
            pins=credentials.pins,
            receive=lambda sender, frame: self.received.append((sender, frame)),
            joined=self.joined.append,
            metrics=self.metrics,
        )

    def dropped(self, reason: str) -> float:
        """Connections dropped for a reason."""
        name, labels = "custodes_bft_connections_dropped_total", {"reason": reason}
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    def unsent(self, peer: int) -> float:
        """Messages that were not sent to a peer."""
        name, labels = "custodes_bft_messages_unsent_total", {"peer": str(peer)}
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


def framed(body: bytes) -> bytes:
    """A frame with its header."""
    return HEADER.pack(len(body)) + body


def client_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A caller that shows a certificate and trusts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    return context


def as_replica(folder: Path, index: int) -> ssl.SSLContext:
    """A caller with a replica's own key."""
    return client_context(folder / CERTIFICATES / certificate_name(index), folder / transport_key_name(index))


def as_stranger(folder: Path) -> ssl.SSLContext:
    """A caller with a certificate that nobody pinned."""
    identity = make_identity("stranger")
    certificate, key = folder / "stranger.crt", folder / "stranger.key"
    certificate.write_bytes(identity.certificate)
    key.write_bytes(identity.key)
    return client_context(certificate, key)


async def until(holds: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait for something to hold."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to hold"
        await asyncio.sleep(0.01)
