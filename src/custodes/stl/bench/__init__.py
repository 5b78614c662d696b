"""Speed and memory of the evaluators beside those of sentil, rtamt and stlcg++, in one run on one thread."""

from custodes.stl.bench.environments import ENVIRONMENTS, install
from custodes.stl.bench.run import run_bench
from custodes.stl.bench.table import table

__all__ = ["ENVIRONMENTS", "install", "run_bench", "table"]
