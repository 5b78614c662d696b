"""Throw text at the parser and samples at the monitor until something other than a clear error comes out.

    python -m benchmarks.stl_fuzz --seconds 60 --seed 0 --part parser

Half of the texts are valid formulas with pieces swapped, cut, doubled and replaced; the rest are random words of the
language and random characters. Whatever is accepted has to print and read back as the same tree. Prints one line of
JSON; exits 1 with the text (repr) and the seed when anything else happens.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass

import numpy as np

from custodes.stl import analysis
from custodes.stl import formula as f
from custodes.stl.errors import FormulaError, StlError
from custodes.stl.grammar import INFIX, UNARY, WORDS
from custodes.stl.parser import parse
from custodes.stl.printer import format_formula

SLOWEST = 5.0
"""Seconds after which a text counts as a hang: the longest allowed one takes well below one."""
SEEDS = (
    "G[0,50]((x<0.5) -> F[0,10](y>0.2))",
    "(x>0) U[5,20] (y>0)",
    "at least 3 of 5s (rate(fp, 60s) <= 0.05 and not prev (a or b))",
    'always ("net.bytes-in" / 2 - abs(-host.cpu) * 1e-3 >= min(x, 5) -> once[100ms:wait] threat)',
    "(H[0,3] x) since (next y) <-> (count(x > 1, three) != 2) # why",
    "(x W[2,] y) release[0,inf] (rise(x) xor fall(y)) /* because */",
)
PIECES = (
    *sorted({*WORDS, *UNARY, *INFIX}),
    *(
        "(",
        ")",
        "[",
        "]",
        ",",
        ":",
        ";",
        "=",
        "=>",
        "//",
        "/*",
        "*/",
        "#",
        "'",
        '"',
        "\\",
        "\n",
        "\0",
        "\ud800",
        "é",
        "😀",
    ),
    *(
        "0",
        "1",
        "5s",
        "1.5ms",
        ".5",
        "1e999",
        "1e-400",
        "9" * 5000,
        "-",
        "x",
        "wait",
        "threat",
        "three",
        "at least 1 of 2",
    ),
)
PARAMETERS: dict[str, float | str] = {"wait": "5s", "three": 3.0, "limit": 0.05}
NAMED = {"threat": parse("score > 0.5 and F[0,2] y")}


@dataclass(kw_only=True)
class Tally:
    """What became of the texts."""

    texts: int = 0
    """How many were tried."""
    accepted: int = 0
    """Read, printed and read back as the same tree."""
    refused: int = 0
    """Refused with an error that names the place."""
    slowest: float = 0.0
    """Longest time for one text, s."""


class Found(Exception):  # noqa: N818
    """A text that broke something."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(why)
        self.text, self.why = text, why


def mutated(rng: np.random.Generator) -> str:
    """A valid formula with a few pieces changed."""
    text = SEEDS[rng.integers(len(SEEDS))]
    for _ in range(rng.integers(0, 6)):
        start, end = sorted(rng.integers(0, len(text) + 1, size=2))
        match rng.integers(5):
            case 0:
                text = text[:start] + text[end:]
            case 1:
                text = text[:start] + piece(rng) + text[start:]
            case 2:
                text = text[:start] + piece(rng) + text[min(start + 1, len(text)) :]
            case 3:
                text = text[:end] + text[start:end] + text[end:]
            case _:
                other = SEEDS[rng.integers(len(SEEDS))]
                text = text[:start] + other[rng.integers(len(other)) :]
    return text


def piece(rng: np.random.Generator) -> str:
    """A word or sign of the language, or something that has no place in it."""
    return PIECES[rng.integers(len(PIECES))]


def babble(rng: np.random.Generator) -> str:
    """Random pieces, random characters, or one piece very often."""
    match rng.integers(4):
        case 0:
            return piece(rng) * int(rng.integers(1, 3000))
        case 1:
            return "".join(chr(rng.integers(0x110000)) for _ in range(rng.integers(1, 40)))
        case 2:
            return rng.bytes(int(rng.integers(1, 60))).decode("utf-8", "surrogateescape")
        case _:
            return " ".join(piece(rng) for _ in range(rng.integers(1, 30)))


def try_text(text: str, tally: Tally) -> None:
    """Read one text.

    Raises:
        Found: It took too long, raised something else than FormulaError, or did not read back.
    """
    start = time.perf_counter()
    tally.texts += 1
    try:
        node = parse(text, parameters=PARAMETERS, formulas=NAMED)
    except FormulaError as error:
        tally.refused += 1
        if not (0 <= error.span.start <= len(text) and error.line >= 1 and error.column >= 1):
            raise Found(text, f"the place {error.span} is outside of the text") from None
        if not str(error).isprintable():
            raise Found(text, "the message is not printable") from None
    except Exception as error:
        raise Found(text, f"{type(error).__name__}: {error}") from error
    else:
        tally.accepted += 1
        check_accepted(text, node)
    taken = time.perf_counter() - start
    tally.slowest = max(tally.slowest, taken)
    if taken > SLOWEST:
        raise Found(text, f"took {taken:.1f} s")


def check_accepted(text: str, node: f.Formula) -> None:
    """What was read prints, reads back, and can be analysed.

    Raises:
        Found: It does not.
    """
    try:
        if parse(format_formula(node)) != node:
            raise Found(text, f"reads back differently from {format_formula(node)}")
        analysis.check_causal(node)
        counted = analysis.in_samples(node, 1)
        analysis.horizon(counted), analysis.memory(counted), analysis.warmup(counted), analysis.signals(counted)
    except StlError as error:
        # A window in units may be too long, or too short for its count, only once the period is known.
        if "samples" not in str(error):
            raise Found(text, f"accepted, then {error}") from error
    except Found:
        raise
    except Exception as error:
        raise Found(text, f"accepted, then {type(error).__name__}: {error}") from error


def fuzz_parser(seconds: float, seed: int) -> Tally:
    """Try texts for so long.

    Raises:
        Found: One broke something.
    """
    rng, tally, end = np.random.default_rng(seed), Tally(), time.monotonic() + seconds
    while time.monotonic() < end:
        try_text(mutated(rng) if rng.random() < 0.5 else babble(rng), tally)
    return tally


def main() -> int:
    """Run the parts, print a line, and say by the exit code whether all went well."""
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    read.add_argument("--seconds", type=float, default=60.0, help="for each part")
    read.add_argument("--seed", type=int, default=0)
    read.add_argument("--part", choices=("parser", "monitor", "all"), default="all")
    options = read.parse_args()
    line: dict[str, object] = {"seed": options.seed, "seconds": options.seconds}
    code = 0
    if options.part in ("parser", "all"):
        try:
            line["parser"] = asdict(fuzz_parser(options.seconds, options.seed))
        except Found as found:
            code, line["parser"] = 1, {"why": ascii(found.why), "text": ascii(found.text)}
    if options.part in ("monitor", "all"):
        from benchmarks.stl_fuzz_monitor import fuzz_monitor

        line["monitor"] = {"runs": fuzz_monitor(options.seconds, options.seed)}
    print(json.dumps(line))
    return code


if __name__ == "__main__":
    sys.exit(main())
