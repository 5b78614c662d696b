"""What a campaign can do: for each ATT&CK tactic, loops of events that are benign singly but not in this order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Technique:
    """One way to reach a tactic's goal."""

    tactic: str
    """ATT&CK tactic, the value of the column `phase`."""
    loop: str
    """Symbols in the order in which they repeat."""
    events: float
    """Mean number of events, relative to the other techniques."""
    gap: float
    """Median seconds between events at stealth 0."""
    actor: str
    """Who acts: `foothold` (the campaign's own process), `child` (a new process of it), `inject` (a benign process)."""
    hosts: tuple[str, ...]
    """Programs that it hides in: what is injected into, or what a new process looks like."""
    bulk: float = 0.0
    """0 to 1: how far sizes lean to the large end of what is benign for the same kind of event."""


TACTICS = (
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "defense-evasion",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
)


def _technique(tactic: str, loop: str, events: float, gap: float, who: str, hosts: str, bulk: float = 0.0) -> Technique:
    return Technique(tactic=tactic, loop=loop, events=events, gap=gap, actor=who, hosts=tuple(hosts.split()), bulk=bulk)


TECHNIQUES: tuple[Technique, ...] = (
    _technique("initial-access", "doc.open scr.evaluate lib.load tmp.write scr.evaluate", 1.0, 0.3, "inject", "office"),
    _technique("initial-access", "net.receive arc.read scr.evaluate exe.write lib.load", 1.0, 0.3, "inject", "browser"),
    _technique(
        "initial-access", "net.accept net.receive mem.allocate mem.protect", 1.0, 0.2, "inject", "service database"
    ),
    _technique("execution", "scr.evaluate dns.resolve net.receive mem.protect lib.load", 1.2, 0.3, "child", "shell"),
    _technique("execution", "tmp.read exe.rename mem.allocate mem.protect scr.evaluate", 1.2, 0.3, "child", "updater"),
    _technique("persistence", "exe.write key.enumerate key.set tmr.wait key.set", 0.8, 0.6, "foothold", "shell"),
    _technique("persistence", "cfg.write ses.logon key.set exe.read", 0.8, 0.6, "child", "service updater"),
    _technique("privilege-escalation", "proc.open mem.allocate mem.protect", 1.0, 0.2, "foothold", "shell"),
    _technique("privilege-escalation", "lib.load proc.open ses.logon mem.map", 1.0, 0.3, "inject", "service"),
    _technique("defense-evasion", "log.delete key.set log.delete tmp.delete", 0.8, 0.3, "foothold", "shell"),
    _technique("defense-evasion", "mem.protect lib.load exe.rename mem.map", 0.8, 0.3, "inject", "service updater"),
    _technique("credential-access", "proc.open mem.map mem.map db.read tmp.write", 1.0, 0.3, "foothold", "shell"),
    _technique("credential-access", "db.read doc.open db.read cfg.read", 1.0, 0.3, "inject", "browser"),
    _technique("discovery", "dir.list ses.logon proc.open dns.resolve key.enumerate", 1.4, 0.5, "child", "shell"),
    _technique("discovery", "key.enumerate dir.list cfg.read net.connect", 1.4, 0.5, "foothold", "shell"),
    _technique("lateral-movement", "net.connect ses.logon exe.read net.send", 1.0, 0.4, "foothold", "shell"),
    _technique("lateral-movement", "dns.resolve ses.logon net.send net.connect", 1.0, 0.4, "inject", "service"),
    _technique("collection", "dir.list doc.read arc.write doc.read", 1.8, 0.15, "child", "shell backup", 0.3),
    _technique("collection", "db.read arc.write doc.open tmp.write", 1.8, 0.2, "foothold", "shell", 0.3),
    _technique("command-and-control", "net.connect net.receive tmr.wait scr.evaluate", 1.4, 2.0, "foothold", "shell"),
    _technique(
        "command-and-control", "dns.resolve tmr.wait dns.resolve net.send", 1.4, 2.0, "inject", "browser service"
    ),
    _technique("exfiltration", "arc.read net.send net.send arc.rename", 1.4, 0.3, "foothold", "shell", 0.5),
    _technique("exfiltration", "net.connect arc.read net.send dns.resolve", 1.4, 0.3, "inject", "browser backup", 0.5),
    _technique("impact", "doc.read doc.write doc.rename log.delete", 1.8, 0.1, "child", "shell updater"),
    _technique("impact", "doc.delete arc.rename doc.delete db.write", 1.8, 0.1, "foothold", "shell"),
)

FIRST_HOST = (
    ("initial-access", 1.0),
    ("execution", 1.0),
    ("command-and-control", 0.8),
    ("persistence", 0.6),
    ("discovery", 0.8),
    ("privilege-escalation", 0.6),
    ("defense-evasion", 0.6),
    ("credential-access", 0.7),
    ("command-and-control", 0.5),
    ("collection", 0.6),
)
"""Tactics on the host entered first, in order, with the chance that a campaign takes each."""

NEXT_HOST = (
    ("lateral-movement", 1.0),
    ("execution", 1.0),
    ("discovery", 0.6),
    ("credential-access", 0.4),
    ("collection", 0.8),
    ("command-and-control", 0.5),
)
"""The same for every further host; the lateral movement itself is still acted from the host before."""

ENDS = (("exfiltration", 0.65), ("impact", 0.35))
"""How a campaign ends, with the chance of each."""
