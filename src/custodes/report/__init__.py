"""The page about a run."""

from custodes.report.page import write_report

__all__ = ["write_report"]
