"""Signatures against another implementation of Ed25519, and the simulator's stand-in."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from nacl.exceptions import CryptoError

from custodes.bft.crypto import Crypto, Ed25519Crypto, Ed25519Signer, KeyedHashCrypto, Signer
from custodes.bft.errors import BftError
from custodes.bft.recent import RecentSet
from tests.bft.material import material

SECRETS = tuple(bytes([index]) * 16 for index in range(4))
HASHED = KeyedHashCrypto(SECRETS)
KINDS: list[tuple[Crypto, tuple[Signer, ...]]] = [
    (Ed25519Crypto(material().team.keys), material().signers),
    (Ed25519Crypto(material().team.keys, capacity=0), material().signers),
    (HASHED, tuple(map(HASHED.signer, range(4)))),
]


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200))
def test_signatures_are_those_of_another_library(seed: bytes, statement: bytes) -> None:
    signer, other = Ed25519Signer(seed), Ed25519PrivateKey.from_private_bytes(seed)
    assert signer.public == other.public_key().public_bytes_raw()
    assert signer.sign(statement) == other.sign(statement)
    Ed25519PublicKey.from_public_bytes(signer.public).verify(signer.sign(statement), statement)


@pytest.mark.parametrize(("crypto", "signers"), KINDS)
def test_only_the_signer_and_the_statement_fit(crypto: Crypto, signers: tuple[Signer, ...]) -> None:
    signature = signers[1].sign(b"statement")
    for _ in range(2):
        assert crypto.verify(1, b"statement", signature)
        assert not crypto.verify(2, b"statement", signature)
        assert not crypto.verify(1, b"statemenT", signature)
        for index in (-1, 4, 99):
            assert not crypto.verify(index, b"statement", signature)
        for length in (0, 63, 65):
            assert not crypto.verify(1, b"statement", (signature + b"x")[:length])


@pytest.mark.parametrize(("crypto", "signers"), KINDS)
def test_every_flipped_bit_is_seen(crypto: Crypto, signers: tuple[Signer, ...]) -> None:
    signature = signers[0].sign(b"statement")
    assert crypto.verify(0, b"statement", signature)
    for bit in range(8 * len(signature)):
        flipped = bytearray(signature)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not crypto.verify(0, b"statement", bytes(flipped))


@pytest.mark.parametrize(("crypto", "signers"), KINDS)
def test_signing_again_gives_the_same_bytes(crypto: Crypto, signers: tuple[Signer, ...]) -> None:
    assert signers[3].sign(b"s") == signers[3].sign(b"s")


def test_the_stand_in_gives_public_keys_for_a_team() -> None:
    assert len(set(HASHED.keys)) == 4
    assert {len(key) for key in HASHED.keys} == {32}


def test_a_private_key_has_32_bytes() -> None:
    with pytest.raises(BftError, match="32 bytes, not 31"):
        Ed25519Signer(bytes(31))


@given(st.integers(0, 5), st.lists(st.integers(0, 20)))
def test_memory_is_bounded_and_keeps_the_last(capacity: int, entries: list[int]) -> None:
    recent: RecentSet[int] = RecentSet(capacity)
    for entry in entries:
        recent.add(entry)
        assert len(recent) <= 2 * capacity
    for entry in entries[len(entries) - capacity :] if capacity else []:
        assert entry in recent
    if capacity == 0:
        assert not any(entry in recent for entry in entries)


def test_own_signatures_are_not_checked_again_and_only_with_the_own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    signers = [Ed25519Signer(bytes([index]) * 32) for index in range(4)]
    crypto = Ed25519Crypto(tuple(signer.public for signer in signers))
    own = crypto.own(2, signers[2])
    said = own.sign(b"said")
    assert said == signers[2].sign(b"said")
    for index in (1, 4, -1):
        with pytest.raises(BftError, match="not the private key of replica"):
            crypto.own(index, signers[2])

    def never(*_: object) -> bytes:
        raise CryptoError

    monkeypatch.setattr("custodes.bft.crypto.crypto_sign_open", never)
    assert crypto.verify(2, b"said", said)
    # What was signed by others, or for others, is not good because of it.
    assert not crypto.verify(1, b"said", said)
    assert not crypto.verify(2, b"said!", said)
    assert not crypto.verify(1, b"said", signers[1].sign(b"said"))
