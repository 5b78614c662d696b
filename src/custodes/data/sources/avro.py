"""Avro object container files of CDM records, through the optional package fastavro."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from custodes.errors import CustodesError


def avro_records(file: IO[bytes], where: str) -> Iterator[dict[str, Any]]:
    """Decode an Avro object container file.

    Args:
        file: Open file, at its start.
        where: Name of the file, for messages.

    Yields:
        Records in the shape that `CdmState.take` reads: `datum` is one key, the full name of the record's type.

    Raises:
        CustodesError: fastavro is not installed, or the file is no Avro file, is cut off or damaged.
    """
    try:
        import fastavro
    except ImportError:
        raise CustodesError(
            "reading Avro needs the package fastavro", where=where, fix="install custodes[cdm]"
        ) from None
    count = 0
    try:
        for record in fastavro.reader(file, return_record_name=True):
            if not isinstance(record, dict):
                raise CustodesError(f"record {count} is not a TCCDMDatum", where=where, fix="see docs/data.md")
            datum = record.get("datum")
            yield {**record, "datum": {datum[0]: datum[1]}} if isinstance(datum, tuple) else record
            count += 1
    except CustodesError:
        raise
    except Exception as error:  # fastavro raises whatever its decoder trips over in damaged bytes
        raise CustodesError(
            f"the Avro file is cut off or damaged after record {count}: {type(error).__name__} {error}",
            where=where,
            fix="fetch or export it again",
        ) from error
