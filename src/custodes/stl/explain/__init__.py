"""Why a rule is violated, or satisfied: the samples and the parts of the formula responsible."""

from custodes.stl.explain.explainer import explain, per_sample
from custodes.stl.explain.explanation import Explanation, Range, Runs, Step, Verdict
from custodes.stl.explain.windows import Interval

__all__ = ["Explanation", "Interval", "Range", "Runs", "Step", "Verdict", "explain", "per_sample"]
