"""Private keys: made from the system's randomness, kept in files that only their owner reads."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from custodes.bft.crypto import SEED_BYTES, Ed25519Signer
from custodes.bft.errors import BftError
from custodes.bft.safety.files import sync_folder
from custodes.bft.teamfile import Member, TeamFile, format_team_file, make_team_file

TEAM_FILE: Final = "team.toml"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def key_name(index: int) -> str:
    """File name of a replica's private key."""
    return f"replica-{index}.key"


def generate(folder: Path, *, chain: str, addresses: tuple[str, ...], epoch: int = 0) -> TeamFile:
    """Make a key for each replica, and the team file that pins them.

    Nothing is overwritten: if any of the files exists, none is written. For a real team every owner makes a key on
    the own machine and only the public keys meet; this is for teams of one owner.

    Args:
        folder: Where the files go.
        chain: Chain id.
        addresses: host:port of each replica.
        epoch: Number of this membership.

    Raises:
        BftError: The team is none, or a file exists or cannot be written.
    """
    seeds = [os.urandom(SEED_BYTES) for _ in addresses]
    publics = [Ed25519Signer(seed).public for seed in seeds]
    members = tuple(
        Member(public_key=public, address=address, certificate=None)
        for public, address in zip(publics, addresses, strict=True)
    )
    file = make_team_file(chain, epoch, members)
    contents = {folder / key_name(index): f"{seed.hex()}\n" for index, seed in enumerate(seeds)}
    contents[folder / TEAM_FILE] = format_team_file(file)
    for path in contents:
        if path.exists():
            raise BftError("file exists and would be overwritten", where=str(path), fix="choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in contents.items():
            _write_new(path, content, 0o644 if path.name == TEAM_FILE else 0o600)
        sync_folder(folder)
    except OSError as error:
        raise BftError(f"cannot be written: {error.strerror or error}", where=str(folder)) from None
    return file


def load_signer(path: Path) -> Ed25519Signer:
    """Read a private key.

    Raises:
        BftError: It cannot be read, is malformed, or others may read it.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_bytes()[:1024].strip()
    except OSError as error:
        raise BftError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    if mode & _OTHERS:
        raise BftError("others may read this private key", where=str(path), fix=f"chmod 600 {path}")
    try:
        seed = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES:
        raise BftError(f"not a private key of {2 * SEED_BYTES} hexadecimal digits", where=str(path))
    return Ed25519Signer(seed)


def _write_new(path: Path, content: str, mode: int) -> None:
    # O_EXCL: a file that appears meanwhile is not overwritten either.
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(content)
        file.flush()
        os.fsync(handle)
