"""Benign programs: each a semi-Markov machine over states, a state being a noisy loop of events with its own pace."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class State:
    """What a program does for a while: a loop of events."""

    name: str
    """Unique within its program."""
    loop: str
    """Symbols in the order in which they repeat."""
    dwell: float
    """Mean number of events of a stay; > 0."""
    gap: float
    """Median seconds between events of a stay."""
    pause: float
    """Median seconds before a stay begins."""
    then: dict[str, float]
    """Weight of each following state."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A class of benign processes."""

    name: str
    """Unique; campaigns name the programs that they hide in."""
    images: tuple[str, ...]
    """Executables that run it."""
    states: tuple[State, ...]
    """The first is entered at the start."""
    weight: float
    """Share of the processes started, relative to the others."""
    length: float
    """Mean number of events of a process, relative to the others."""
    parents: tuple[str, ...]
    """Programs that start it; the host's first process does where none of them is alive."""
    interactive: bool = False
    """Started in working hours only."""
    resident: bool = False
    """Lives to the end of the recording."""
    roles: dict[str, float] = field(default_factory=dict)
    """Factor on `weight` by the role of the host."""


ROLES = ("workstation", "developer", "server")


def _state(name: str, loop: str, dwell: float, gap: float, pause: float, **then: float) -> State:
    return State(name=name, loop=loop, dwell=dwell, gap=gap, pause=pause, then=then)


PROGRAMS: tuple[Program, ...] = (
    Program(
        name="service",
        images=("svchost.exe", "spoolsv.exe", "agent.exe"),
        weight=0.12,
        length=3.0,
        parents=("service", "updater"),
        resident=True,
        roles={"server": 1.5},
        states=(
            _state("start", "lib.load*4 key.query cfg.read", 8, 0.05, 0.5, poll=1),
            _state("poll", "tmr.wait key.query cfg.read", 9, 0.8, 60, poll=2, serve=2, log=2, watch=1),
            _state("serve", "net.accept net.receive doc.read net.send", 12, 0.2, 30, serve=2, log=2, poll=1, host=1),
            _state("host", "net.accept ses.logon net.receive scr.evaluate net.send", 8, 0.4, 40, poll=1, log=1),
            _state("watch", "proc.open mem.map key.enumerate dir.list log.write", 8, 0.3, 50, poll=1, log=1),
            _state("log", "log.write log.write tmr.wait", 6, 0.3, 20, poll=2, rotate=1, serve=1),
            _state("rotate", "arc.write log.delete log.write key.set", 6, 0.3, 20, poll=1),
        ),
    ),
    Program(
        name="office",
        images=("winword.exe", "excel.exe", "outlook.exe"),
        weight=0.22,
        length=1.0,
        parents=("browser", "shell", "office"),
        interactive=True,
        roles={"workstation": 2.0, "server": 0.3},
        states=(
            _state("start", "lib.load*5 key.query key.query cfg.read", 10, 0.05, 0.5, read=1),
            _state("read", "dir.list doc.open doc.read doc.read", 8, 0.6, 30, edit=3, lookup=1, macro=1, read=1),
            _state("edit", "doc.read tmp.write tmp.write doc.write", 10, 1.5, 40, save=3, lookup=1, edit=1, macro=1),
            _state("save", "tmp.create tmp.write doc.rename tmp.delete key.set", 7, 0.2, 15, edit=2, read=1, lookup=1),
            _state("lookup", "dns.resolve net.connect net.send net.receive", 8, 0.3, 30, edit=2, read=2, mail=1),
            _state("mail", "net.receive tmp.create tmp.write doc.open db.write", 9, 0.4, 20, read=2, edit=1),
            _state("macro", "scr.evaluate doc.read scr.evaluate doc.write mem.allocate", 8, 0.3, 20, edit=2, read=1),
        ),
    ),
    Program(
        name="browser",
        images=("chrome.exe", "firefox.exe"),
        weight=0.22,
        length=1.4,
        parents=("office", "browser", "shell"),
        interactive=True,
        roles={"workstation": 1.5, "server": 0.4},
        states=(
            _state("start", "lib.load*5 cfg.read db.read key.query", 10, 0.04, 0.5, page=1),
            _state(
                "page", "dns.resolve net.connect net.send net.receive tmp.write", 14, 0.15, 40, page=3, render=3, get=1
            ),
            _state("render", "mem.allocate mem.protect scr.evaluate mem.map", 9, 0.1, 3, page=3, visit=1, form=1),
            _state("visit", "db.read db.write db.read", 6, 0.2, 10, page=2, render=1),
            _state("form", "doc.open doc.read net.send net.receive", 7, 0.5, 20, page=2, visit=1),
            _state("get", "net.receive tmp.create tmp.write arc.write arc.rename", 10, 0.2, 15, page=2, check=1),
            _state("check", "arc.read exe.write exe.read key.query exe.rename", 7, 0.2, 5, page=1, visit=1),
        ),
    ),
    Program(
        name="build",
        images=("msbuild.exe", "cl.exe", "cmake.exe"),
        weight=0.12,
        length=1.2,
        parents=("shell", "build"),
        interactive=True,
        roles={"developer": 3.0, "workstation": 0.2},
        states=(
            _state("start", "lib.load*3 key.query cfg.read cfg.read", 8, 0.03, 0.3, scan=1),
            _state("scan", "dir.list doc.open dir.list key.query", 9, 0.05, 2, make=3, scan=1),
            _state("make", "doc.open doc.read mem.map tmp.create tmp.write", 15, 0.05, 2, make=2, link=2, scan=1),
            _state("link", "tmp.read tmp.read lib.load exe.write", 9, 0.1, 3, test=2, tidy=1, make=1),
            _state("test", "exe.read mem.allocate scr.evaluate log.write proc.open", 9, 0.3, 5, make=1, pack=1, tidy=1),
            _state("pack", "exe.read doc.read arc.write arc.write", 8, 0.2, 4, tidy=1, make=1),
            _state("tidy", "dir.list tmp.delete tmp.delete log.delete", 6, 0.05, 5, make=1, scan=1),
        ),
    ),
    Program(
        name="updater",
        images=("msiexec.exe", "update.exe", "rundll32.exe"),
        weight=0.10,
        length=0.8,
        parents=("service", "browser", "office"),
        states=(
            _state("start", "lib.load*3 cfg.read key.query", 7, 0.05, 0.5, check=1),
            _state("check", "key.query dns.resolve net.connect net.send net.receive", 8, 0.3, 60, check=2, fetch=2),
            _state("fetch", "net.receive net.receive arc.write tmp.write", 12, 0.15, 10, unpack=3, fetch=1),
            _state("unpack", "arc.read tmp.write exe.write lib.load", 10, 0.1, 5, install=3, check=1),
            _state("install", "proc.open exe.rename key.set key.query exe.write", 9, 0.2, 5, tidy=2, check=1),
            _state("tidy", "tmp.delete arc.read log.write tmp.delete", 7, 0.1, 5, check=2, install=1),
        ),
    ),
    Program(
        name="shell",
        images=("powershell.exe", "cmd.exe", "python.exe"),
        weight=0.14,
        length=0.9,
        parents=("shell", "service", "office", "updater", "build", "browser", "database"),
        roles={"developer": 1.5, "server": 1.3},
        states=(
            _state("start", "lib.load*4 cfg.read key.query scr.evaluate", 8, 0.05, 0.4, prompt=1),
            _state("prompt", "scr.evaluate dir.list doc.read", 8, 1.5, 30, prompt=2, admin=2, remote=1, job=2),
            _state("admin", "key.query proc.open key.enumerate scr.evaluate", 9, 0.7, 20, prompt=2, setup=1, job=1),
            _state("remote", "dns.resolve net.connect ses.logon net.send net.receive", 10, 0.5, 20, prompt=2, copy=1),
            _state("copy", "doc.read net.send doc.read net.send", 9, 0.2, 10, prompt=1, job=1),
            _state("job", "scr.evaluate cfg.read doc.read tmp.write log.write", 10, 0.2, 15, prompt=2, setup=1, zip=1),
            _state("zip", "dir.list doc.read arc.write tmp.delete", 9, 0.2, 10, prompt=1, copy=1),
            _state("setup", "exe.write key.set key.query mem.allocate cfg.write", 7, 0.4, 10, prompt=1),
        ),
    ),
    Program(
        name="backup",
        images=("backup.exe", "robocopy.exe"),
        weight=0.05,
        length=1.6,
        parents=("service", "shell"),
        roles={"server": 2.0},
        states=(
            _state("start", "lib.load*3 cfg.read db.read key.query", 8, 0.05, 0.5, scan=1),
            _state("scan", "dir.list dir.list doc.open", 9, 0.05, 5, pack=3, scan=1),
            _state("pack", "doc.read doc.read doc.read arc.write", 16, 0.1, 2, pack=2, send=2, scan=2),
            _state("send", "net.connect arc.read net.send arc.read net.send", 12, 0.2, 5, note=2, pack=2),
            _state("note", "db.write log.write cfg.write tmr.wait", 6, 0.1, 20, scan=2, prune=1),
            _state("prune", "dir.list doc.delete arc.rename log.write", 7, 0.1, 5, scan=1),
        ),
    ),
    Program(
        name="database",
        images=("sqlservr.exe", "postgres.exe"),
        weight=0.03,
        length=4.0,
        parents=("service",),
        resident=True,
        roles={"server": 3.0, "workstation": 0.2},
        states=(
            _state("start", "lib.load*4 cfg.read db.read", 9, 0.05, 0.5, query=1),
            _state("query", "net.accept ses.logon net.receive db.read net.send", 14, 0.1, 30, query=3, flush=2, dump=1),
            _state("flush", "db.write db.write log.write", 9, 0.1, 10, query=3, compact=1),
            _state("compact", "db.read tmp.write tmp.read db.write tmp.delete", 10, 0.1, 10, query=1),
            _state("dump", "db.read db.read arc.write log.write mem.map", 8, 0.2, 20, query=1),
        ),
    ),
)

NAMES: dict[str, int] = {program.name: i for i, program in enumerate(PROGRAMS)}
ROOT_IMAGE = "wininit.exe"
IMAGES: tuple[str, ...] = (ROOT_IMAGE, *(image for program in PROGRAMS for image in program.images))
