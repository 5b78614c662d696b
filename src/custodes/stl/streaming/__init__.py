"""Monitors that see one sample at a time."""

from custodes.stl.streaming.fleet import Monitor
from custodes.stl.streaming.single import Point, SingleMonitor, Snapshot
from custodes.stl.streaming.verdict import Ending, Verdict

__all__ = ["Ending", "Monitor", "Point", "SingleMonitor", "Snapshot", "Verdict"]
