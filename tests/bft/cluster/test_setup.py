"""The files of a team: pinned, never overwritten, held against their pins."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from custodes.bft.cluster.setup import (
    CERTIFICATES,
    address_of,
    certificate_name,
    generate_cluster,
    load_credentials,
    transport_key_name,
)
from custodes.bft.cluster.tls import Pins, fingerprint, make_identity
from custodes.bft.errors import BftError
from custodes.bft.keys import TEAM_FILE
from custodes.bft.teamfile import load_team_file


def test_the_team_file_pins_every_certificate(folder: Path) -> None:
    members = load_team_file(folder / TEAM_FILE).members
    assert len(members) == 4
    for index, member in enumerate(members):
        text = (folder / CERTIFICATES / certificate_name(index)).read_text()
        assert member.certificate is not None
        assert member.certificate.hex() == fingerprint(text)
        assert (folder / transport_key_name(index)).stat().st_mode & 0o777 == 0o600
        assert load_credentials(folder / TEAM_FILE, index).addresses[index].host == "127.0.0.1"


def test_nothing_is_overwritten(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(BftError, match="would be overwritten"):
        generate_cluster(folder, chain="test", addresses=tuple(f"h:{port}" for port in range(1, 5)))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_refusal_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / CERTIFICATES).mkdir()
    (tmp_path / CERTIFICATES / certificate_name(2)).write_text("mine")
    with pytest.raises(BftError, match=r"replica-2\.crt: file exists"):
        generate_cluster(tmp_path, chain="test", addresses=tuple(f"h:{port}" for port in range(1, 5)))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [certificate_name(2)]


def test_a_certificate_that_is_not_the_pinned_one(folder: Path) -> None:
    other = make_identity("somebody").certificate
    (folder / CERTIFICATES / certificate_name(1)).write_bytes(other)
    with pytest.raises(BftError, match=r"replica-1\.crt: not the certificate that the team file pins"):
        load_credentials(folder / TEAM_FILE, 0)


@pytest.mark.parametrize("text", ["", "no certificate", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"])
def test_a_file_that_is_no_certificate(folder: Path, text: str) -> None:
    (folder / CERTIFICATES / certificate_name(3)).write_text(text)
    with pytest.raises(BftError, match=r"replica-3\.crt"):
        load_credentials(folder / TEAM_FILE, 0)


def test_a_missing_certificate_or_key(folder: Path) -> None:
    (folder / transport_key_name(0)).unlink()
    with pytest.raises(BftError, match=r"replica-0\.tls\.key: the transport key cannot be used"):
        load_credentials(folder / TEAM_FILE, 0).pins.server()
    (folder / CERTIFICATES / certificate_name(2)).unlink()
    with pytest.raises(BftError, match="no certificate can be read"):
        load_credentials(folder / TEAM_FILE, 0)


def test_the_key_of_another_certificate(folder: Path) -> None:
    shutil.copy(folder / transport_key_name(1), folder / transport_key_name(0))
    with pytest.raises(BftError, match="the transport key cannot be used"):
        load_credentials(folder / TEAM_FILE, 0).pins.client()


def test_a_replica_that_there_is_not(folder: Path) -> None:
    with pytest.raises(BftError, match=r"there is no replica 4.*use 0 to 3"):
        load_credentials(folder / TEAM_FILE, 4)


def test_a_team_without_pins(folder: Path) -> None:
    path = folder / TEAM_FILE
    lines = [line for line in path.read_text().splitlines() if not line.strip().startswith("certificate")]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(BftError, match="no transport certificate is pinned"):
        load_credentials(path, 0)


def test_two_replicas_with_one_certificate(tmp_path: Path) -> None:
    pem = make_identity("one").certificate.decode()
    with pytest.raises(BftError, match="same transport certificate"):
        Pins([pem, pem], (tmp_path / "a", tmp_path / "b"))


def test_addresses() -> None:
    assert (address_of("host:7").host, address_of("host:7").port) == ("host", 7)
    assert (address_of("[::1]:80").host, address_of("[::1]:80").port) == ("::1", 80)
