"""Source `flows`: network flow records in the columns of NSL-KDD (Tavallaee et al., 2009).

Rows are independent and carry no time.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from custodes.data.sources.base import FILE, ROW, Source

FLAGS: Final = ("OTH", "REJ", "RSTO", "RSTOS0", "RSTR", "S0", "S1", "S2", "S3", "SF", "SH")
"""Connection states that have a column of their own, `flag_...`; another state has 0 in all of them."""

_COUNTS: Final = (
    "duration",
    "src_bytes",
    "dst_bytes",
    "land",
    "wrong_fragment",
    "urgent",
    "hot",
    "num_failed_logins",
    "logged_in",
    "num_compromised",
    "root_shell",
    "su_attempted",
    "num_root",
    "num_file_creations",
    "num_shells",
    "num_access_files",
    "num_outbound_cmds",
    "is_host_login",
    "is_guest_login",
    "count",
    "srv_count",
    "dst_host_count",
    "dst_host_srv_count",
)
_RATES: Final = (
    "serror_rate",
    "srv_serror_rate",
    "rerror_rate",
    "srv_rerror_rate",
    "same_srv_rate",
    "diff_srv_rate",
    "srv_diff_host_rate",
    "dst_host_same_srv_rate",
    "dst_host_diff_srv_rate",
    "dst_host_same_src_port_rate",
    "dst_host_srv_diff_host_rate",
    "dst_host_serror_rate",
    "dst_host_srv_serror_rate",
    "dst_host_rerror_rate",
    "dst_host_srv_rerror_rate",
)


def _to_events(frame: pl.LazyFrame) -> pl.LazyFrame:
    # The column `difficulty` says how many classifiers got a record right: it is made from the label, so it stays out.
    return frame.select(
        time=pl.lit(0, dtype=pl.Int64),
        stream=pl.lit("flows"),
        entity=pl.format("{}-{}", FILE, ROW),
        channel=pl.lit("network"),
        kind=pl.col("service"),
        object_kind=pl.col("protocol_type"),
        size=(pl.col("src_bytes") + pl.col("dst_bytes")).cast(pl.Float64),
        label=(pl.col("class") != "normal").cast(pl.Int8),
        phase=pl.col("class"),
        **{name: pl.col(name) for name in (*_COUNTS, *_RATES)},
        **{f"flag_{flag}": (pl.col("flag") == flag).cast(pl.Int8) for flag in FLAGS},
    )


_COLUMNS: Final[dict[str, pl.DataType]] = {
    "protocol_type": pl.String(),
    "service": pl.String(),
    "flag": pl.String(),
    "class": pl.String(),
    **{name: pl.Int64() for name in _COUNTS},
    **{name: pl.Float64() for name in _RATES},
}

FLOWS: Final = Source(
    name="flows",
    columns=_COLUMNS,
    required=frozenset(_COLUMNS),
    signature=frozenset({"protocol_type", "service", "flag", "src_bytes", "dst_bytes", "class"}),
    extras=False,
    recorded_order=False,
    to_events=_to_events,
)
