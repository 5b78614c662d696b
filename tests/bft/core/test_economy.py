"""No signature is checked twice, and none that cannot matter."""

from __future__ import annotations

from custodes.bft.crypto import Ed25519Crypto, Ed25519Signer
from custodes.bft.messages import Timeout
from tests.bft.core.pump import Pump


class Keys:
    """Real keys, as the pump wants them."""

    def __init__(self, n: int) -> None:
        self._signers = [Ed25519Signer(bytes([index + 1]) * 32) for index in range(n)]
        self.keys = tuple(signer.public for signer in self._signers)
        self._crypto = Ed25519Crypto(self.keys)

    def signer(self, index: int) -> Ed25519Signer:
        return self._signers[index]

    def verify(self, index: int, statement: bytes, signature: bytes) -> bool:
        return self._crypto.verify(index, statement, signature)


class Counted:
    """What one replica really has to check, behind a memory of what was good like that of the real crypto."""

    def __init__(self, keys: Keys) -> None:
        self._crypto = Ed25519Crypto(keys.keys, capacity=0)
        self._good: set[tuple[int, bytes, bytes]] = set()
        self.checked = 0

    def verify(self, index: int, statement: bytes, signature: bytes) -> bool:
        entry = (index, statement, signature)
        if entry in self._good:
            return True
        self.checked += 1
        good = self._crypto.verify(index, statement, signature)
        if good:
            self._good.add(entry)
        return good


def test_a_block_costs_at_most_sixteen_checks_of_four_replicas_together() -> None:
    keys = Keys(4)
    counted = [Counted(keys) for _ in range(4)]
    pump = Pump(4, crypto=keys, check=lambda index: counted[index])
    pump.run(1.0)
    pump.check()
    assert not any(isinstance(message, Timeout) for _, message in pump.sent)
    # Of each block: three check the leader's signature, and all check the two votes that complete their certificate.
    blocks = min(pump.heights())
    checked = sum(each.checked for each in counted)
    assert blocks > 40
    assert 11 * blocks <= checked <= 16 * (blocks + 3)


def test_seven_replicas_with_real_signatures_and_two_silent_agree() -> None:
    keys = Keys(7)
    pump = Pump(7, crypto=keys, silent=[2, 5])
    pump.run(8.0)
    pump.check()
    assert min(height for index, height in enumerate(pump.heights()) if index not in pump.silent) > 5
