"""Signatures: Ed25519 for real, a keyed hash for the simulator's speed, both behind one interface."""

from __future__ import annotations

import hashlib
import hmac
from abc import abstractmethod
from typing import Final, Protocol, final

from nacl.bindings import crypto_sign, crypto_sign_BYTES, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import CryptoError

from custodes.bft.errors import BftError
from custodes.bft.recent import RecentSet

SIGNATURE_BYTES: Final = crypto_sign_BYTES
SEED_BYTES: Final = 32


class Crypto(Protocol):
    """Checks signatures against the pinned keys of a team."""

    @abstractmethod
    def verify(self, index: int, statement: bytes, signature: bytes) -> bool:
        """Whether replica `index` signed exactly these bytes; False for an unknown index or a malformed signature."""


class Signer(Protocol):
    """Signs as one replica. Held by `SafetyRules` alone: nothing else may sign."""

    @abstractmethod
    def sign(self, statement: bytes) -> bytes:
        """Signature (64 bytes)."""


@final
class Ed25519Signer:
    """Signs with an Ed25519 key (RFC 8032) made from a 32-byte seed."""

    __slots__ = ("_secret", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise BftError(f"a private key has {SEED_BYTES} bytes, not {len(seed)}")
        self.public, self._secret = crypto_sign_seed_keypair(seed)

    def sign(self, statement: bytes) -> bytes:
        """Signature (64 bytes); the same bytes for the same statement, always."""
        return crypto_sign(statement, self._secret)[:SIGNATURE_BYTES]


@final
class Ed25519Crypto:
    """Ed25519 (libsodium through PyNaCl, which refuses small-order keys and non-canonical signatures).

    Statements that were found valid are remembered, at most `2 * capacity` of them (about 0.4 kB each): a vote that
    arrives alone and again within certificates costs one check. Failures are not remembered: a liar could make up any
    number of them.

    Args:
        keys: Public keys by replica index, 32 bytes each.
        capacity: Half of the cache's bound; 0 for no cache.
    """

    def __init__(self, keys: tuple[bytes, ...], *, capacity: int = 4096) -> None:
        self._keys = keys
        self._valid: RecentSet[tuple[int, bytes, bytes]] = RecentSet(capacity)

    def verify(self, index: int, statement: bytes, signature: bytes) -> bool:
        """Whether replica `index` signed exactly these bytes."""
        if not 0 <= index < len(self._keys) or len(signature) != SIGNATURE_BYTES:
            return False
        entry = (index, signature, statement)
        if entry in self._valid:
            return True
        try:
            crypto_sign_open(signature + statement, self._keys[index])
        except CryptoError:
            return False
        self._valid.add(entry)
        return True

    def own(self, index: int, signer: Ed25519Signer) -> Signer:
        """The signer of replica `index`, whose signatures are remembered as they are made and thus never checked here.

        Raises:
            BftError: The key is not the one that the team has for this replica.
        """
        if not 0 <= index < len(self._keys) or signer.public != self._keys[index]:
            raise BftError(f"this is not the private key of replica {index}", fix="point to the replica's own key")
        return _Remembered(index, signer, self._valid)


@final
class _Remembered:
    """Signs and remembers."""

    __slots__ = ("_index", "_signer", "_valid")

    def __init__(self, index: int, signer: Ed25519Signer, valid: RecentSet[tuple[int, bytes, bytes]]) -> None:
        self._index = index
        self._signer = signer
        self._valid = valid

    def sign(self, statement: bytes) -> bytes:
        """Signature (64 bytes)."""
        signature = self._signer.sign(statement)
        self._valid.add((self._index, signature, statement))
        return signature


def _tag(secret: bytes, statement: bytes) -> bytes:
    return hashlib.blake2b(statement, key=secret, digest_size=SIGNATURE_BYTES).digest()


@final
class KeyedHashSigner:
    """Signs as one simulated replica: holds that replica's secret and no other."""

    __slots__ = ("_secret", "public")

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.public = hashlib.blake2b(secret, digest_size=32).digest()

    def sign(self, statement: bytes) -> bytes:
        """Signature (64 bytes)."""
        return _tag(self._secret, statement)


@final
class KeyedHashCrypto:
    """Keyed BLAKE2b in place of signatures, for the simulator only: whoever checks could also sign.

    The simulator keeps this object to itself and gives each actor only its own `signer(index)`; then no actor can
    forge another's signature, as with real ones. Never to be used between processes.

    Args:
        secrets: One secret per replica, 1 to 64 bytes each.
    """

    def __init__(self, secrets: tuple[bytes, ...]) -> None:
        self._secrets = secrets

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Stand-ins for the public keys of a `Team`."""
        return tuple(self.signer(index).public for index in range(len(self._secrets)))

    def signer(self, index: int) -> KeyedHashSigner:
        """The signing half of one replica."""
        return KeyedHashSigner(self._secrets[index])

    def verify(self, index: int, statement: bytes, signature: bytes) -> bool:
        """Whether replica `index` signed exactly these bytes."""
        if not 0 <= index < len(self._secrets):
            return False
        return hmac.compare_digest(_tag(self._secrets[index], statement), signature)
