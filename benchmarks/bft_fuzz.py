"""Fuzz what comes over the wire: `python -m benchmarks.bft_fuzz --seconds N --seed S [--json]`.

A tenth of the time goes to the decoders: random and damaged bytes give a refusal or a value that encodes to the same
bytes, in bounded time and memory. The rest goes to a live team (see `bft_fuzz_live`) whose replica 3 is the fuzzer.
Exits 1 when anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.bft_fuzz_codec import fuzz_codec
from benchmarks.bft_fuzz_live import fuzz_live


def main(args: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(args)
    codec = fuzz_codec(given.seconds / 10, given.seed)
    with tempfile.TemporaryDirectory(prefix="custodes-fuzz-") as folder:
        live = fuzz_live(Path(folder), given.seconds * 9 / 10, given.seed)
    parts = {"codec": asdict(codec), "live": asdict(live)}
    if given.json:
        print(json.dumps({"seed": given.seed, **parts}, indent=2))
    else:
        for name, values in parts.items():
            for key, value in values.items():
                if key != "faults":
                    print(f"{name} {key}: {value}")
        for line in (codec.faults + live.faults)[:20]:
            print(f"FAULT: {line[:2000]}")
        print("faults:", len(codec.faults) + len(live.faults))
    return 1 if codec.faults or live.faults else 0


if __name__ == "__main__":
    sys.exit(main())
