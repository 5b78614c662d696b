r"""The view synchroniser: which view a replica is in, and for how long it stays.

Rules
-----
1. A replica enters view v + 1 on a verified Qc(v) or Tc(v), never otherwise, and never goes back.
2. Every message that speaks for view v (proposal or timeout) carries what lets a replica into v: a Qc(v - 1), or a
   Tc(v - 1) with a Qc at least as high as the highest one that the Tc names. So no message of a higher view is ever
   kept for later: it is valid and moves its receiver into its view, or it is refused. A peer cannot announce a view
   that a quorum has not let it into, and "f + 1 timeouts for a higher view" needs no rule of its own.
3. After a quarter of its time without a proposal, a replica sends the leader of its view the certificates that it
   stands on (a liar may have let in everyone but the leader). When the time is over it signs and broadcasts a timeout,
   and broadcasts the same one again every `timeout` seconds while it stays in the view.
4. f + 1 timeouts for its own view hold one of an honest replica: it joins them without waiting for its own timer.
   A replica that forms a Tc(v) has therefore joined Timeout(v) before (quorum > f + 1), so its own is never missing
   to those that it leaves behind.
5. A timeout of a lower view is answered with the certificates that lift its sender.
6. The time of a view is timeout * 2 ** min(k, cap), where k views in a row have failed; a commit sets k to 0.

Liveness
--------
Assume that from time G on every message between honest replicas takes at most D, that at most f replicas are not
honest and awake, and that `timeout` >= 7 D + W, where W is what a leader waits (`heartbeat_delay`, or for columns). T
is the largest time of a view, timeout * 2 ** cap.

*Synchronisation.* Let w be the highest view of an honest replica p at some time t >= G. p leaves w, or broadcasts a
timeout for w by t + T and again every `timeout` seconds. It carries the certificates for w, so by t + T + D every
honest replica is in w or above (rule 2), whatever was lost before G: nothing that was lost is needed, since timeouts
are sent again with all that they rest on.

*A view ends.* When all honest replicas (at least n - f >= quorum of them) are in w, their timers run out within T, the
timeouts arrive by D, and all form Tc(w); or, if some have left by a Qc(w) or Tc(w) before, their messages lift the
rest as above. So after synchronisation each view lasts at most T + 2 D.

*An honest view succeeds.* Let the leaders of v and v + 1 be honest. After a Tc(v - 1), the honest replicas enter v
within 2 D of each other: a quorum of timeouts holds f + 1 honest ones, these reach everyone, all join (rule 4), all
form the Tc. The leader rests on a Qc at least as high as that of any Tc(v - 1), so its block gets every honest vote; it
may have to fetch what it rests on (2 D), so may the voters, and the last vote is cast 7 D + W after the first entry,
before anyone gives up. The honest votes alone are a quorum at everyone one D later. Then v + 1 goes the same way, with
all honest replicas entering within D and nothing to fetch, and its Qc, in the view next to that of its parent, commits.
After a Qc(v - 1) which a liar's vote completed for some replicas only, the first of them helps the leader after a
quarter of the view (rule 3), and the leader's proposal lifts the rest; that view succeeds if T / 4 + 6 D + W <= T.

*Enough honest leaders in a row.* When f of n >= 3f + 1 leaders in turn are not honest, the honest ones, at least
2f + 1, stand in at most f runs of the cycle, so one run has at least 3. Even if its first view is lost to how the view
before it was left, the two after it commit. It is passed within n + 2 views, wherever the first of them lies.

*The bound.* Finding each other takes 2 T + 3 D: T + D until all are in the highest view or above, and T + 2 D until it
ends. Of the n + 2 views after that, at most 2 f fail (those that liars lead, each with the one after it) and one more
to columns whose forwarding was lost before G (see `duty`), T + 2 D each; at most f + 2 follow a failed one, 8 D + W
each, and the others take 4 D + W. The sum, (2 f + 3) T + (4 n + 17) D + (n + 1) W, is at most

    B = (2 f + 4) T + 4 (n + 3) D

whenever T >= 5 D + (n + 1) W. B is the one bound on liveness of this package: fixed, with its reasons in time instead
of views, in docs/bft-simulation.md, and checked by the simulator (`liveness_bound`). A replica that lags learns the
highest certificates by the first message that it gets, whoever sent it; what fetching a long chain takes comes on top.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from custodes.bft.messages import NO_TC, Qc, Tc
from custodes.bft.verify import basis_fault

if TYPE_CHECKING:
    from custodes.bft.core.config import ReplicaConfig

NUDGE = 0.25
"""Share of a view's time after which a replica without a proposal helps its leader."""


@final
class Pacemaker:
    """The current view, what let the replica into it, and how patient it is."""

    __slots__ = ("_cap", "_timeout", "entered", "failures", "nudged", "tc", "view")

    def __init__(self, config: ReplicaConfig) -> None:
        self._timeout = config.timeout
        self._cap = config.backoff_cap
        self.view = 0
        self.tc: Tc | None = None
        self.failures = 0
        self.entered = 0.0
        self.nudged = False

    def enter(self, view: int, tc: Tc | None, now: float) -> None:
        """Goes to a view; `tc` is what let the replica in when a Qc did not."""
        self.view = view
        self.entered = now
        self.nudged = False
        self.tc = tc
        if tc is not None:
            self.failures += 1

    def progress(self) -> None:
        """Notes that a block was committed."""
        self.failures = 0

    @property
    def period(self) -> float:
        """How long the current view may last, seconds."""
        return self._timeout * float(2 ** min(self.failures, self._cap))


def lets_in(view: int, qc: Qc, tc: Tc | None) -> bool:
    """Says whether these certificates, if valid, let a replica into a view and are what a block of it may rest on."""
    if tc is not None and tc.view != view - 1:
        return False
    return basis_fault(view, qc.view, NO_TC if tc is None else tc.high) is None
