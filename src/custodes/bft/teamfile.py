"""The team file: who agrees, with which pinned keys, and where each replica listens. TOML, the same for everybody.

```
chain = "hosts-eu"
epoch = 0
f = 1

[[replica]]
index = 0
public_key = "..."           # Ed25519, 64 hexadecimal digits
address = "127.0.0.1:9000"   # host:port
certificate = "..."          # optional: SHA-256 of its TLS certificate (DER), 64 hexadecimal digits
```
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from custodes.bft.errors import BftError
from custodes.bft.team import Team

_KEYS: Final = frozenset({"chain", "epoch", "f", "replica"})
_MEMBER_KEYS: Final = frozenset({"index", "public_key", "address", "certificate"})
MAX_FILE: Final = 2**20
"""Bytes of a team file."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One replica of a team file."""

    public_key: bytes
    """Ed25519 public key (32 bytes)."""
    address: str
    """host:port."""
    certificate: bytes | None
    """SHA-256 of its TLS certificate in DER form (32 bytes), pinned; None where it is not pinned."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class TeamFile:
    """What a team file says."""

    team: Team
    """Keys, chain and epoch."""
    members: tuple[Member, ...]
    """The replicas by index."""


def make_team_file(chain: str, epoch: int, members: tuple[Member, ...]) -> TeamFile:
    """A checked team file.

    Raises:
        BftError: As for `Team`; or addresses repeat.
    """
    addresses = [member.address for member in members]
    for index, address in enumerate(addresses):
        _check_address(address, f"replica {index}")
        if addresses.index(address) != index:
            raise BftError(f"replicas {addresses.index(address)} and {index} have the same address {address}")
    team = Team(chain=chain, epoch=epoch, keys=tuple(member.public_key for member in members))
    return TeamFile(team=team, members=members)


def format_team_file(file: TeamFile) -> str:
    """A team file as TOML."""
    team = file.team
    lines = [f"chain = {json.dumps(team.chain)}", f"epoch = {team.epoch}", f"f = {team.f}"]
    for index, member in enumerate(file.members):
        lines += ["", "[[replica]]", f"index = {index}", f'public_key = "{member.public_key.hex()}"']
        lines.append(f"address = {json.dumps(member.address)}")
        if member.certificate is not None:
            lines.append(f'certificate = "{member.certificate.hex()}"')
    return "\n".join(lines) + "\n"


def load_team_file(path: Path) -> TeamFile:
    """Read and check a team file.

    Raises:
        BftError: It cannot be read, or does not describe a team that can agree safely.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise BftError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    if len(data) > MAX_FILE:
        raise BftError(f"team file is over {MAX_FILE} bytes", where=str(path))
    try:
        return parse_team_file(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise BftError("team file is not UTF-8 text", where=str(path)) from None
    except tomllib.TOMLDecodeError as error:
        raise BftError(f"not TOML: {error}", where=str(path)) from None
    except BftError as error:
        where = f"{path}: {error.where}" if error.where else str(path)
        raise BftError(error.what, where=where, fix=error.fix) from None


def parse_team_file(text: str) -> TeamFile:
    """Check the text of a team file.

    Raises:
        tomllib.TOMLDecodeError: It is not TOML.
        BftError: It does not describe a team that can agree safely.
    """
    table = tomllib.loads(text)
    _known(table, _KEYS, "")
    chain, epoch = _value(table, "chain", str, ""), _value(table, "epoch", int, "")
    rows = _value(table, "replica", list, "")
    members = tuple(_member(row, index) for index, row in enumerate(rows))
    file = make_team_file(chain, epoch, members)
    f = _value(table, "f", int, "")
    if f != file.team.f:
        raise BftError(f"f = {f} does not fit {file.team.n} replicas", where="f", fix=f"write f = {file.team.f}")
    return file


def _member(row: object, index: int) -> Member:
    where = f"replica {index}"
    if not isinstance(row, dict):
        raise BftError("not a table", where=where, fix="write [[replica]]")
    _known(row, _MEMBER_KEYS, where)
    given = _value(row, "index", int, where)
    if given != index:
        raise BftError(f"index {given} stands at place {index}", where=where, fix="list indices 0 to n - 1 in order")
    certificate = _digits(row, "certificate", where) if "certificate" in row else None
    return Member(
        public_key=_digits(row, "public_key", where),
        address=_value(row, "address", str, where),
        certificate=certificate,
    )


def _known(table: Mapping[str, object], keys: frozenset[str], where: str) -> None:
    for key in table:
        if key not in keys:
            raise BftError(f"unknown key {key!r}", where=where, fix=f"known are {', '.join(sorted(keys))}")


def _value(table: Mapping[str, object], key: str, kind: type, where: str) -> Any:
    if key not in table:
        raise BftError(f"{key} is missing", where=where)
    value = table[key]
    # True is an int to Python, not to a reader.
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BftError(f"{key} is not of type {kind.__name__}", where=where)
    return value


def _digits(row: Mapping[str, object], key: str, where: str) -> bytes:
    text = _value(row, key, str, where)
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != 32 or len(text) != 64:
        raise BftError(f"{key} is not 64 hexadecimal digits", where=where)
    return value


def _check_address(address: str, where: str) -> None:
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65_535):
        raise BftError(f"address {address!r} is not host:port", where=where)
