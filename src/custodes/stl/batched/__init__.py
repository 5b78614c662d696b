"""Robustness of many traces at once, in torch: whole traces, ragged lengths, gradients, CPU and CUDA."""

from custodes.stl.batched.bound import smooth_error
from custodes.stl.batched.evaluation import evaluate
from custodes.stl.batched.result import Robustness

__all__ = ["Robustness", "evaluate", "smooth_error"]
