"""The limits and delays of a replica; every buffer of the core is bounded by a number that stands here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class ReplicaConfig:
    """Delays in the seconds of whatever clock the driver passes to `Replica.step`; limits as counts."""

    index: int
    """This replica, 0 to n - 1."""
    timeout: float = 1.0
    """How long a view may last, seconds; at least seven message delays and what a leader waits (see `pacemaker`)."""
    backoff_cap: int = 4
    """The time of a view doubles with each view that fails, up to timeout * 2 ** backoff_cap, and returns to `timeout`
    when a block is committed."""
    heartbeat: bool = True
    """Keep views going with empty blocks when there is nothing to decide. Off: the replica falls silent when nothing is
    uncommitted and nothing waits to be decided."""
    heartbeat_delay: float = 0.05
    """How long a leader with nothing to decide waits before an empty block, seconds; well under `timeout`."""
    fetch_delay: float = 0.25
    """How long an answer to a request for blocks may take before another replica is asked, seconds."""
    fetch_batch: int = 64
    """Most blocks in one answer, at most `encoding.MAX_BLOCKS`."""
    orphans: int = 4096
    """Most blocks held whose ancestors have not arrived, at least twice `fetch_batch`; a replica that is further behind
    catches up in legs."""
    orphan_bytes: int = 256 * 2**20
    """Most payload bytes of such blocks."""
    history: int = 1024
    """Committed blocks kept in memory to answer requests; older ones come from `Application.lookup`."""
    vote_window: int = 8
    """How many views ahead of its own a replica keeps votes."""
    uncommitted: int = 1024
    """Most blocks kept that are connected but not committed; also the length of an uncommitted chain from which on only
    empty blocks get votes, so that payloads do not pile up while nothing commits."""
    answer_bytes: int = 8 * 2**20
    """Most payload bytes in one answer of more than one block."""
    answers: int = 32
    """Requests for blocks answered per peer within `timeout` seconds."""
    deferred: bool = False
    """Make records durable outside `step`: the core returns `Sync`, the driver calls `SafetyRules.sync` (in a thread,
    if it likes) and feeds `Synced`; nothing is signed before. Off: `step` itself syncs, once for all that it signs."""

    def __post_init__(self) -> None:
        if self.index < 0:
            raise ValueError(f"index must be at least 0, not {self.index}")
        for name in ("timeout", "heartbeat_delay", "fetch_delay"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} must be more than 0 seconds, not {getattr(self, name)}")
        for name in ("fetch_batch", "orphans", "orphan_bytes", "history", "vote_window", "uncommitted", "answers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.orphans < 2 * self.fetch_batch:
            raise ValueError(f"orphans must be at least twice fetch_batch, not {self.orphans} and {self.fetch_batch}")
        if not 0 <= self.backoff_cap <= 20:
            raise ValueError(f"backoff_cap must be 0 to 20, not {self.backoff_cap}")
