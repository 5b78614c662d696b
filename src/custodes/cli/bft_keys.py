"""`custodes bft keygen` and `custodes bft verify`: keys of a team, and offline checks of what it signed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from custodes.cli.codes import DOES_NOT_HOLD
from custodes.cli.options import JsonOption
from custodes.errors import CustodesError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from custodes.bft.certificates import Certificate
    from custodes.bft.teamfile import TeamFile

MAX_FILE: Final = 64 * 2**20
"""Bytes of a file that is worth reading here."""
SHOWN: Final = 20
"""Items that are listed for people; `--json` lists all."""

FileArgument = Annotated[Path, typer.Argument(metavar="CERT", help="Decision certificate, or proof of a lie.")]
TeamOption = Annotated[Path, typer.Option("--team", metavar="TEAM", help="The team file with the pinned keys.")]
OutOption = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where keys and team file go.")]
ReplicasOption = Annotated[int, typer.Option("--n", metavar="N", help="Replicas, at least 4.")]
ChainOption = Annotated[str, typer.Option("--chain", metavar="NAME", help="Name of the chain; unlike any other's.")]
EpochOption = Annotated[int, typer.Option("--epoch", metavar="E", help="Number of this membership.")]
HostOption = Annotated[str, typer.Option("--host", metavar="HOST", help="Where the replicas listen.")]
PortOption = Annotated[int, typer.Option("--port", metavar="PORT", help="Port of replica 0; the others follow.")]


def keygen(
    out: OutOption,
    chain: ChainOption,
    n: ReplicasOption = 4,
    epoch: EpochOption = 0,
    host: HostOption = "127.0.0.1",
    port: PortOption = 9000,
    as_json: JsonOption = False,
) -> None:
    """Make the keys and certificates of a team, and the team file that pins them. Overwrites nothing."""
    from custodes.bft.cluster.setup import CERTIFICATES, generate_cluster, transport_key_name
    from custodes.bft.keys import TEAM_FILE, generate, key_name
    from custodes.bft.team import MAX_REPLICAS
    from custodes.cli.output import print_json, print_line

    if not 0 <= n <= MAX_REPLICAS:
        raise CustodesError(f"--n {n} is not between 4 and {MAX_REPLICAS}")
    with _one_line():
        addresses = tuple(f"{host}:{port + index}" for index in range(n))
        connects = find_spec("cryptography") is not None
        file = (generate_cluster if connects else generate)(out, chain=chain, epoch=epoch, addresses=addresses)
    team = file.team
    keys = [str(out / key_name(index)) for index in range(n)]
    transport = [str(out / transport_key_name(index)) for index in range(n)] if connects else []
    if as_json:
        found = {"team": str(out / TEAM_FILE), "keys": keys, "n": n, "f": team.f, "quorum": team.quorum}
        print_json(found | {"transport_keys": transport})
        return
    print_line(f"{n} keys and {out / TEAM_FILE}: stands {team.f} liar(s), certificates of {team.quorum} signatures")
    print_line("Each key belongs on the machine of its replica and nowhere else.")
    if connects:
        print_line(f"{out / CERTIFICATES} and the team file belong on every machine.")
    else:
        print_line("No certificates for connections: they need pip install 'custodes[cluster]', before keygen.")


def verify(file: FileArgument, team: TeamOption, as_json: JsonOption = False) -> None:
    """Check a decision certificate or a proof of a lie, offline. Exits 0 when it holds, 1 when not."""
    from custodes.bft.evidence import MAGIC
    from custodes.bft.teamfile import load_team_file
    from custodes.cli.output import print_json

    with _one_line():
        pinned = load_team_file(team)
    data = _read(file)
    with _one_line(str(file)):
        found = _check_proof(data, pinned) if data.startswith(MAGIC) else _check_certificate(data, pinned)
    if as_json:
        print_json(found)
    elif found["kind"] == "proof":
        _show_proof(found)
    else:
        _show_certificate(found)
    if not found["valid"]:
        raise typer.Exit(DOES_NOT_HOLD)


def _check_certificate(data: bytes, pinned: TeamFile) -> dict[str, Any]:
    from custodes.bft.certificates import certificate_fault, decode_certificate
    from custodes.bft.crypto import Ed25519Crypto
    from custodes.bft.verify import Verifier

    certificate = decode_certificate(data)
    fault = certificate_fault(certificate, Verifier(pinned.team, Ed25519Crypto(pinned.team.keys)))
    found: dict[str, Any] = {"kind": "decision", "valid": fault is None, "reason": fault}
    # Of a certificate that does not hold nothing is shown: somebody might believe it.
    return found if fault is not None else found | _contents(certificate, pinned)


def _contents(certificate: Certificate, pinned: TeamFile) -> dict[str, Any]:
    from custodes.bft.ballots import entities_of, times_of
    from custodes.bft.certificates import decided
    from custodes.bft.statements import header_id
    from custodes.bft.votes import ACTIONS

    first = certificate.headers[0]
    batches = [
        {
            "batch": ballot.batch,
            "agents": [agent for agent, column in enumerate(ballot.columns) if column is not None],
            "items": [
                {"entity": entity, "time_ns": time, "decision": ACTIONS[decision]}
                for entity, time, decision in zip(
                    entities_of(ballot.items).tolist(), times_of(ballot.items).tolist(), ballot.decisions, strict=True
                )
            ],
        }
        for ballot in decided(certificate, pinned.team.n)
    ]
    quorums = [{"view": qc.view, "signers": list(qc.signers)} for qc in (certificate.lower, certificate.upper)]
    return {
        "chain": certificate.chain,
        "epoch": certificate.epoch,
        "block": header_id(pinned.team, first).hex(),
        "view": first.view,
        "height": first.height,
        "proposer": first.proposer,
        "quorum_certificates": quorums,
        "batches": batches,
    }


def _check_proof(data: bytes, pinned: TeamFile) -> dict[str, Any]:
    from custodes.bft.crypto import Ed25519Crypto
    from custodes.bft.evidence import check_proof, decode_proof

    proof = decode_proof(data)
    culprit = check_proof(proof, pinned.team, Ed25519Crypto(pinned.team.keys))
    reason = None if culprit is not None else "the signed statements do not show what the proof claims"
    return {"kind": "proof", "valid": culprit is not None, "reason": reason, "lie": proof.kind, "culprit": culprit}


def _show_proof(found: Mapping[str, Any]) -> None:
    from custodes.cli.output import print_line

    if found["valid"]:
        print_line(f"The proof holds: replica {found['culprit']} lied ({found['lie']}).")
    else:
        print_line(f"The proof does not hold: {found['reason']}.")


def _show_certificate(found: Mapping[str, Any]) -> None:
    from custodes.bft.votes import ACTIONS
    from custodes.cli.output import print_line, print_table

    if not found["valid"]:
        print_line(f"The certificate does not hold: {found['reason']}.")
        return
    print_line(f"The certificate holds. Chain {found['chain']}, epoch {found['epoch']}, block {found['block']}")
    print_line(f"View {found['view']}, height {found['height']}, proposed by replica {found['proposer']}")
    for quorum in found["quorum_certificates"]:
        print_line(f"Quorum certificate of view {quorum['view']}: replicas {', '.join(map(str, quorum['signers']))}")
    for batch in found["batches"]:
        taken = [item["decision"] for item in batch["items"]]
        counts = ", ".join(f"{taken.count(action)} {action}" for action in ACTIONS)
        print_line(f"Batch {batch['batch']}: {len(taken)} items ({counts}); votes of {len(batch['agents'])} agents")
        severe = sorted(batch["items"], key=lambda item: -ACTIONS.index(item["decision"]))[:SHOWN]
        rows = [(item["entity"], item["time_ns"], item["decision"]) for item in severe]
        title = f"The {len(rows)} most severe:" if len(rows) < len(taken) else "All:"
        print_table(title, ("entity", "time ns", "decision"), ((str(a), str(b), c) for a, b, c in rows), names=3)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise CustodesError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    if len(data) > MAX_FILE:
        raise CustodesError(f"over {MAX_FILE} bytes, so not a certificate", where=str(path))
    return data


@contextmanager
def _one_line(where: str = "") -> Iterator[None]:
    """The package's own exception as the program's."""
    from custodes.bft.errors import BftError

    try:
        yield
    except BftError as error:
        raise CustodesError(error.what, where=error.where or where, fix=error.fix) from None
