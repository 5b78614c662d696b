"""Who agrees: the pinned public keys of n replicas, their chain and epoch, and what follows from n."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from typing import Final, final

from custodes.bft.errors import BftError
from custodes.bft.votes import quorum, tolerated

MIN_REPLICAS: Final = 4
"""With three replicas or fewer no liar can be stood: f = (n - 1) // 3 would be 0."""
MAX_REPLICAS: Final = 64
"""Signers of a certificate are a 64-bit mask on the wire."""
MAX_CHAIN: Final = 64
"""Bytes of a chain id."""
MAX_EPOCH: Final = 2**63 - 1
KEY_BYTES: Final = 32


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Team:
    """The replicas of one chain in one epoch. The index of a key is the replica's name everywhere.

    Every signed statement holds `context`, so that none is valid on another chain or in another epoch. A change of
    members, of order or of keys needs a new epoch (or chain id); `genesis` binds the keys too, so that blocks of two
    teams never mix even when somebody forgets.
    """

    chain: str
    """Chain id, 1 to `MAX_CHAIN` printable ASCII characters."""
    epoch: int
    """Number of this membership, 0 to `MAX_EPOCH`."""
    keys: tuple[bytes, ...]
    """Ed25519 public keys (32 bytes each), all different; `MIN_REPLICAS` to `MAX_REPLICAS` of them."""
    n: int = field(init=False)
    """Replicas."""
    f: int = field(init=False)
    """Liars that are stood, (n - 1) // 3."""
    quorum: int = field(init=False)
    """Distinct signers of a certificate, ceil((n + f + 1) / 2)."""
    context: bytes = field(init=False, repr=False)
    """Chain id and epoch as they stand in every signed statement."""
    genesis: bytes = field(init=False, repr=False)
    """Id of the block of view 0 and height 0 (32 bytes)."""

    def __post_init__(self) -> None:
        """Check, and derive the rest.

        Raises:
            BftError: The team cannot agree on anything safely.
        """
        _check(self)
        n = len(self.keys)
        chain = self.chain.encode("ascii")
        context = struct.pack("<B", len(chain)) + chain + struct.pack("<Q", self.epoch)
        put = object.__setattr__
        put(self, "n", n)
        put(self, "f", tolerated(n))
        put(self, "quorum", quorum(n))
        put(self, "context", context)
        put(self, "genesis", hashlib.sha256(b"custodes/genesis" + context + b"".join(self.keys)).digest())

    def leader(self, view: int) -> int:
        """Index of the replica that proposes in a view: they take turns."""
        return view % self.n


def _check(team: Team) -> None:
    n = len(team.keys)
    if n < MIN_REPLICAS:
        raise BftError(
            f"a team of {n} replicas stands no liar", fix=f"use at least {MIN_REPLICAS} (n >= 3f + 1 with f >= 1)"
        )
    if n > MAX_REPLICAS:
        raise BftError(f"a team of {n} replicas is too large", fix=f"use at most {MAX_REPLICAS}")
    if not 1 <= len(team.chain) <= MAX_CHAIN or not (team.chain.isascii() and team.chain.isprintable()):
        raise BftError(f"chain id {team.chain!r} is not 1 to {MAX_CHAIN} printable ASCII characters")
    if not 0 <= team.epoch <= MAX_EPOCH:
        raise BftError(f"epoch {team.epoch} is not between 0 and {MAX_EPOCH}")
    for index, key in enumerate(team.keys):
        if len(key) != KEY_BYTES:
            raise BftError(f"public key of replica {index} has {len(key)} bytes, not {KEY_BYTES}")
        first = team.keys.index(key)
        if first != index:
            raise BftError(
                f"replicas {first} and {index} have the same public key",
                fix="give each its own: one holder of two keys is two liars",
            )
