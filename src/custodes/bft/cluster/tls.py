"""Who is at the other end of a connection: TLS 1.3 with one self-signed certificate per replica, pinned on both sides.

The certificate's key authenticates connections only. It signs nothing that the protocol counts; that key is held by
`SafetyRules` alone.
"""

from __future__ import annotations

import datetime
import hashlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from custodes.bft.errors import BftError

_LIFETIME = datetime.timedelta(days=3650)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """A certificate with its private key, both in PEM."""

    certificate: bytes
    """Self-signed X.509 certificate, shown to peers."""
    key: bytes
    """Private key, PKCS #8 without a password; for this replica's eyes only."""


def make_identity(name: str) -> Identity:
    """A new key (ECDSA P-256) and a certificate for it that is its own authority.

    Args:
        name: Common name, for people who look at the certificate; identity is the pinned certificate itself.

    Raises:
        BftError: The package `cryptography` is not installed.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise BftError("certificates need the package cryptography", fix="pip install 'custodes[cluster]'") from error
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:64])])
    now = datetime.datetime.now(datetime.UTC)
    public = key.public_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + _LIFETIME)
        # What strict checkers (Python 3.13) ask of an authority, which a self-signed certificate is.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    return Identity(
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
        key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


def fingerprint(certificate: bytes | str) -> str:
    """SHA-256 of a PEM certificate's content, in hex: what a team file pins."""
    text = certificate.decode("ascii") if isinstance(certificate, bytes) else certificate
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(text)).hexdigest()


@final
class Pins:
    """The certificates of a team, by replica; tells who a finished handshake was with.

    Args:
        certificates: PEM certificate of each replica, in the order of their indices.
        own: Paths of this replica's certificate and private key.
    """

    def __init__(self, certificates: Sequence[str], own: tuple[Path, Path]) -> None:
        self._index = {
            hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest(): index for index, pem in enumerate(certificates)
        }
        if len(self._index) != len(certificates):
            raise BftError("two replicas have the same transport certificate", fix="make new ones with keygen")
        self._authorities = "".join(certificates)
        self._own = own

    def server(self) -> ssl.SSLContext:
        """For connections that come in: the peer must show a pinned certificate, too."""
        return self._context(ssl.PROTOCOL_TLS_SERVER)

    def client(self) -> ssl.SSLContext:
        """For connections that go out."""
        return self._context(ssl.PROTOCOL_TLS_CLIENT)

    def peer(self, tls: Any) -> int | None:
        """Index of the replica that a finished handshake was with; None for somebody else.

        Args:
            tls: The transport's `ssl_object`.
        """
        shown = tls.getpeercert(binary_form=True) if tls is not None else None
        return self._index.get(hashlib.sha256(shown).digest()) if shown else None

    def _context(self, side: int) -> ssl.SSLContext:
        context = ssl.SSLContext(side)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        # The certificate is the identity, not the host's name: replicas may move.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=self._authorities)
        try:
            context.load_cert_chain(*self._own)
        except (OSError, ssl.SSLError) as error:
            raise BftError(
                f"the transport key cannot be used: {error}", where=str(self._own[1]), fix="make a new one with keygen"
            ) from error
        # A session that is resumed shows no certificate.
        context.options |= ssl.OP_NO_TICKET
        return context
