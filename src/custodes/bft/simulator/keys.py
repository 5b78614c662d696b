"""The keys of a simulated team: keyed hashes for speed, Ed25519 for a sample of the runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import final

from custodes.bft.crypto import Crypto, Ed25519Crypto, Ed25519Signer, KeyedHashCrypto, Signer
from custodes.bft.team import Team


@final
@dataclass(frozen=True, kw_only=True)
class Keys:
    """Everything that signs and checks in one run."""

    team: Team
    """The replicas."""
    signers: Mapping[int, Signer]
    """Each replica's key; a liar gets its own and no other."""
    crypto: Callable[[], Crypto]
    """Makes what one replica checks signatures with."""
    judge: Crypto
    """What the invariants check signatures with; shared with nobody."""


@cache
def make_keys(n: int, *, real: bool, chain: str = "simulation") -> Keys:
    """Keys of n replicas, always the same ones.

    Args:
        n: Replicas, at least 4.
        real: Ed25519 instead of keyed hashes.
        chain: Chain id.
    """
    seeds = tuple(hashlib.sha256(f"simulated replica {index}".encode()).digest() for index in range(n))
    if real:
        signers = {index: Ed25519Signer(seed) for index, seed in enumerate(seeds)}
        public = tuple(signer.public for signer in signers.values())
        return Keys(
            team=Team(chain=chain, epoch=1, keys=public),
            signers=signers,
            crypto=lambda: Ed25519Crypto(public),
            judge=Ed25519Crypto(public),
        )
    hashed = KeyedHashCrypto(seeds)
    return Keys(
        team=Team(chain=chain, epoch=1, keys=hashed.keys),
        signers={index: hashed.signer(index) for index in range(n)},
        crypto=lambda: KeyedHashCrypto(seeds),
        judge=KeyedHashCrypto(seeds),
    )
