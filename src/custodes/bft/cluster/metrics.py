"""What a replica counts, for Prometheus and for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, final

from custodes.bft.errors import BftError

if TYPE_CHECKING:
    from prometheus_client import Metric

LATENCY_BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Upper ends, seconds."""


@final
class _Received:
    """Shows the number of messages received when it is asked for."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily

        yield CounterMetricFamily("custodes_bft_received", "Messages received", value=self._metrics.received)


@final
class Metrics:
    """Counters and gauges of one replica, in a registry of their own (several replicas may live in one process)."""

    def __init__(self) -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        except ImportError as error:
            raise BftError(
                "metrics need the package prometheus-client", fix="pip install 'custodes[cluster]'"
            ) from error
        self.registry = CollectorRegistry()
        registry = self.registry
        self.decisions = Counter("custodes_bft_decisions", "Decisions committed", registry=registry)
        self.blocks = Counter("custodes_bft_blocks", "Blocks committed", registry=registry)
        self.received = 0
        """Messages; a plain number, since it changes more often than anything else."""
        registry.register(_Received(self))
        self.view = Gauge("custodes_bft_view", "Highest view of a committed block", registry=registry)
        self.height = Gauge("custodes_bft_height", "Height of the last committed block", registry=registry)
        self.peers = Gauge("custodes_bft_peers", "Connected peers", registry=registry)
        self.conflict = Gauge(
            "custodes_bft_conflict", "1 once certificates for two chains were seen", registry=registry
        )
        self._joined = Counter("custodes_bft_connections", "Connections made, by peer", ["peer"], registry=registry)
        self.proofs = Counter(
            "custodes_bft_proofs", "Proofs of misbehaviour by culprit", ["culprit"], registry=registry
        )
        self.refused = Counter(
            "custodes_bft_refused", "Messages that no honest peer sends, by sender", ["peer"], registry=registry
        )
        self.unreadable = Counter(
            "custodes_bft_journal_unreadable", "Applied blocks that could not be read again", registry=registry
        )
        self.latency = Histogram(
            "custodes_bft_commit_seconds",
            "From a batch's submission here to its commit",
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self._dropped = Counter(
            "custodes_bft_connections_dropped", "Connections dropped, by reason", ["reason"], registry=registry
        )
        self._unsent = Counter(
            "custodes_bft_messages_unsent", "Messages dropped unsent, by peer", ["peer"], registry=registry
        )

    def count_joined(self, peer: int) -> None:
        """A peer has proved who it is."""
        self._joined.labels(peer=str(peer)).inc()

    def count_dropped(self, reason: str) -> None:
        """A connection was cut."""
        self._dropped.labels(reason=reason).inc()

    def count_unsent(self, peer: int) -> None:
        """A message had no connection, or a full one."""
        self._unsent.labels(peer=str(peer)).inc()

    def total(self, name: str) -> float:
        """Sum of one metric over its labels, 0 when it is unknown."""
        return sum(
            sample.value
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name in (name, f"{name}_total")
        )

    def serve(self, port: int, host: str = "127.0.0.1") -> Callable[[], None]:
        """Serve them over HTTP until the returned function is called.

        Raises:
            BftError: The port is taken.
        """
        from prometheus_client import start_http_server

        try:
            server, thread = start_http_server(port, addr=host, registry=self.registry)
        except OSError as error:
            raise BftError(
                f"metrics cannot be served: {error.strerror}", where=f"{host}:{port}", fix="choose another port"
            ) from error

        def end() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return end
