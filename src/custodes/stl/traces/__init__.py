"""Traces from CSV, Parquet and JSON lines, whole or line by line, made regular as declared."""

from custodes.stl.traces.files import STANDARD_INPUT, Table, open_rows, read_table
from custodes.stl.traces.regular import Sample, Trace, formula_in_samples, make_regular, stream_regular
from custodes.stl.traces.rows import Row

__all__ = [
    "STANDARD_INPUT",
    "Row",
    "Sample",
    "Table",
    "Trace",
    "formula_in_samples",
    "make_regular",
    "open_rows",
    "read_table",
    "stream_regular",
]
