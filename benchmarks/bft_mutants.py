"""Every seeded defect of the agreement protocol, and which scenario finds it.

`python -m benchmarks.bft_mutants [--json]` exits 1 when one survives. The same table stands in docs/bft.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from custodes.bft.simulator.hunting import Kill, hunt
from custodes.bft.simulator.mutants import MUTANTS, Mutant


def row(mutant: Mutant, kill: Kill, seconds: float) -> dict[str, str | int | float | bool]:
    """One mutant's line of the table."""
    return {
        "mutant": mutant.name,
        "what": mutant.what,
        "killed": kill.killed,
        "where": kill.where,
        "seed": kill.seed,
        "tried": kill.tried,
        "rule": kill.rule,
        "seen": kill.what,
        "replay": kill.replay,
        "seconds": round(seconds, 2),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Hunt all of them.

    Args:
        arguments: After the program's name; the process's own when None.

    Returns:
        Exit code: 0 when all were found.
    """
    parser = argparse.ArgumentParser(
        description="Every seeded defect of the agreement protocol, and which scenario finds it."
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args(arguments)
    rows = []
    for mutant in MUTANTS:
        began = time.monotonic()
        rows.append(row(mutant, hunt(mutant), time.monotonic() - began))
    killed = sum(bool(each["killed"]) for each in rows)
    if options.json:
        print(json.dumps({"mutants": rows, "killed": killed, "of": len(rows)}))
    else:
        print("| defect | what is wrong | found by | first failing seed | scenarios | what fails |")
        print("|---|---|---|---|---|---|")
        for each in rows:
            print("| {mutant} | {what} | {where} | {seed} | {tried} | {rule} |".format(**each))
        print(f"\n{killed} of {len(rows)} found")
    return 0 if killed == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
