"""What a replica must never forget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from custodes.bft.messages import Qc, Tc


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class SafetyState:
    """The highest statement of each kind that was, or was about to be, signed. Only ever grows."""

    high_qc: Qc
    """Highest certificate that a vote or timeout rested on."""
    high_view: int = 0
    """No timeout may show less ("one-chain view"). Above `high_qc.view` only after a loss."""
    voted_view: int = 0
    """View of the last vote; 0 for none."""
    voted_block: bytes = b""
    """Block of the last vote (32 bytes); empty when there was none, or when it was lost."""
    timeout_view: int = 0
    """The last view that was given up; 0 for none."""
    timeout_qc: Qc | None = None
    """What that timeout showed; None when there was none, or when it was lost."""
    timeout_tc: Tc | None = None
    """What that timeout carried."""
    proposed_view: int = 0
    """View of the last proposal; 0 for none."""
    proposed_block: bytes = b""
    """The last proposal (32 bytes); empty as for `voted_block`."""
    batch: int = -1
    """Last batch whose votes were signed; -1 for none."""
    committed_height: int = 0
    """A height that was committed; the real one may be higher."""
    committed_block: bytes = b""
    """Its block (32 bytes); empty for genesis."""
    abstain_view: int = 0
    """Released records up to here were lost once; 0 for never."""
