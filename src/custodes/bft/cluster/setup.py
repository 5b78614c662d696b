"""The files of a team that runs over TCP: a team file that pins signing keys and transport certificates."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, final

from custodes.bft.cluster.links import Address
from custodes.bft.cluster.tls import Identity, Pins, fingerprint, make_identity
from custodes.bft.errors import BftError
from custodes.bft.keys import TEAM_FILE, generate
from custodes.bft.safety.files import sync_folder
from custodes.bft.teamfile import TeamFile, format_team_file, load_team_file, make_team_file

CERTIFICATES: Final = "certificates"
"""Folder beside the team file that holds every replica's certificate; the team file pins each by its digest."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """What one replica needs to be let in."""

    file: TeamFile
    """The team."""
    addresses: tuple[Address, ...]
    """Where each replica listens."""
    pins: Pins
    """Certificates of all, and the own one's key."""


def certificate_name(index: int) -> str:
    """File name of a replica's certificate."""
    return f"replica-{index}.crt"


def transport_key_name(index: int) -> str:
    """File name of the private key of a replica's certificate."""
    return f"replica-{index}.tls.key"


def generate_cluster(folder: Path, *, chain: str, addresses: tuple[str, ...], epoch: int = 0) -> TeamFile:
    """Signing keys, transport certificates, and the team file that pins both.

    Nothing is overwritten. For a real team every owner makes the own keys; this is for teams of one owner.

    Args:
        folder: Where the files go.
        chain: Chain id.
        addresses: host:port of each replica.
        epoch: Number of this membership.

    Raises:
        BftError: As for `keys.generate`; or the package `cryptography` is missing.
    """
    identities = [make_identity(f"{chain} replica {index}") for index in range(len(addresses))]
    files: dict[Path, tuple[bytes, int]] = {}
    for index, identity in enumerate(identities):
        files[folder / CERTIFICATES / certificate_name(index)] = (identity.certificate, 0o644)
        files[folder / transport_key_name(index)] = (identity.key, 0o600)
    # Looked for before anything is written, so that a refusal leaves nothing behind.
    for path in files:
        if path.exists():
            raise BftError("file exists and would be overwritten", where=str(path), fix="choose another folder")
    file = generate(folder, chain=chain, addresses=addresses, epoch=epoch)
    try:
        return _pin(folder, file, identities, files)
    except OSError as error:
        raise BftError(f"cannot be written: {error.strerror or error}", where=str(folder)) from None


def _pin(folder: Path, file: TeamFile, identities: list[Identity], files: dict[Path, tuple[bytes, int]]) -> TeamFile:
    """Write the certificates, then the team file that names them in place of the one that does not."""
    (folder / CERTIFICATES).mkdir(exist_ok=True)
    for path, (content, mode) in files.items():
        _write(path, content, mode)
    sync_folder(folder / CERTIFICATES)
    pinned = tuple(
        replace(member, certificate=bytes.fromhex(fingerprint(identity.certificate)))
        for member, identity in zip(file.members, identities, strict=True)
    )
    file = make_team_file(file.team.chain, file.team.epoch, pinned)
    aside = folder / f"{TEAM_FILE}.new"
    _write(aside, format_team_file(file).encode("utf-8"), 0o644)
    aside.replace(folder / TEAM_FILE)
    sync_folder(folder)
    return file


def load_credentials(team: Path, index: int, transport_key: Path | None = None) -> Credentials:
    """Read what a replica needs, and hold the certificates against their pins.

    Args:
        team: The team file; certificates are looked for in the folder beside it.
        index: Which replica.
        transport_key: Private key of its certificate; beside the team file by default.

    Raises:
        BftError: Something is missing, or is not what the team file pins.
    """
    file = load_team_file(team)
    if not 0 <= index < file.team.n:
        raise BftError(f"there is no replica {index}", where=str(team), fix=f"use 0 to {file.team.n - 1}")
    certificates = [_certificate(team, each, member.certificate) for each, member in enumerate(file.members)]
    own = team.parent / CERTIFICATES / certificate_name(index)
    key = transport_key or team.parent / transport_key_name(index)
    return Credentials(
        file=file,
        addresses=tuple(address_of(member.address) for member in file.members),
        pins=Pins(certificates, (own, key)),
    )


def address_of(text: str) -> Address:
    """`host:port` as the team file has it (checked there); an IPv6 host stands in brackets."""
    host, _, port = text.rpartition(":")
    return Address(host=host.strip("[]"), port=int(port))


def _certificate(team: Path, index: int, pin: bytes | None) -> str:
    path = team.parent / CERTIFICATES / certificate_name(index)
    if pin is None:
        raise BftError(
            "no transport certificate is pinned",
            where=f"{team}, replica {index}",
            fix="make the team with 'custodes bft keygen', which pins them",
        )
    try:
        text = path.read_text(encoding="ascii")
        found = fingerprint(text)
    except (OSError, ValueError) as error:
        raise BftError(f"no certificate can be read: {error}", where=str(path)) from None
    if found != pin.hex():
        raise BftError("not the certificate that the team file pins", where=str(path), fix="fetch the right one")
    return text


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a new file, durably; refuse to replace one."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    except FileExistsError:
        raise BftError("file exists and would be overwritten", where=str(path), fix="choose another folder") from None
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(handle)
