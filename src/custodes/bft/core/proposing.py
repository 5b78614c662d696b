"""When the leader of a view proposes, and what.

The leader proposes once per view, on its highest certificate, as soon as the block that it names is here, and

- at once when the application has something complete to decide, or when uncommitted blocks that decide something need
  another block on top to commit;
- after the wait that the application asks for (columns that may still come), with what it has then;
- after `heartbeat_delay` with an empty block when there is nothing, if there is a heartbeat; else not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from custodes.bft.core.application import EMPTY, Offer
from custodes.bft.core.events import Timer
from custodes.bft.core.pacemaker import lets_in
from custodes.bft.messages import Block

if TYPE_CHECKING:
    from custodes.bft.core.application import Application
    from custodes.bft.core.chain import Chain
    from custodes.bft.core.config import ReplicaConfig
    from custodes.bft.core.outbox import Outbox
    from custodes.bft.core.pacemaker import Pacemaker

INSTANT = 1e-9
"""Waits of less than this, seconds, are over: a driver's clock may round."""


@final
class Proposer:
    """Makes this replica's proposals."""

    __slots__ = ("_application", "_chain", "_config", "_open", "_out", "_pacemaker", "_timer")

    def __init__(
        self, config: ReplicaConfig, application: Application, out: Outbox, chain: Chain, pacemaker: Pacemaker
    ) -> None:
        self._config = config
        self._application = application
        self._out = out
        self._chain = chain
        self._pacemaker = pacemaker
        self._open = False
        self._timer = 0.0

    @property
    def open(self) -> bool:
        """Says whether this replica leads the current view and has not proposed in it."""
        return self._open

    def enter(self, *, leads: bool) -> None:
        """Notes that a view begins."""
        self._open = leads
        self._timer = 0.0

    def attempt(self, now: float) -> Block | None:
        """Returns the block to propose now, if it is time; sets a timer if it will be later."""
        qc, tree = self._chain.high_qc, self._chain.tree
        view = self._pacemaker.view
        tc = None if qc.view == view - 1 else self._pacemaker.tc
        if not self._open or qc.block not in tree or not lets_in(view, qc, tc):
            return None
        chain = tree.chain(qc.block)
        full = len(chain) >= self._config.uncommitted
        offer = Offer(payload=EMPTY) if full else self._application.offer(chain, now)
        wait = self._wait(offer, any(block.payload for block in chain), now)
        if wait is None:
            return None
        if wait > INSTANT:
            self._wake(now + wait, wait)
            return None
        self._open = False
        return Block(
            view=view,
            height=tree.height(qc.block) + 1,
            parent=qc.block,
            proposer=self._config.index,
            qc=qc,
            tc=tc,
            payload=offer.payload,
        )

    def _wait(self, offer: Offer, unfinished: bool, now: float) -> float | None:
        if offer.payload or offer.wait > INSTANT:
            return offer.wait
        if unfinished:
            return 0.0
        if self._config.heartbeat:
            return self._pacemaker.entered + self._config.heartbeat_delay - now
        return None

    def _wake(self, at: float, wait: float) -> None:
        if self._timer != at:
            self._timer = at
            self._out.timer(Timer.PROPOSE, self._pacemaker.view, wait)
