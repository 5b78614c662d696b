"""How good a team is: metrics, baselines, and the records of a run."""

from custodes.evaluate.baselines import BASELINES, BaselineInputs, BaselineScores, rewards_of, run_baselines
from custodes.evaluate.evaluation import (
    Evaluation,
    Played,
    Scene,
    decode_evaluation,
    encode_evaluation,
    evaluate_play,
    read_evaluation,
)
from custodes.evaluate.metrics import (
    BinaryMetrics,
    Confusion,
    binary_metrics,
    confusion,
    contains,
    pr_curve,
    threshold_for_f1,
)
from custodes.evaluate.run_schema import (
    METRICS_KEYS,
    MetricsLine,
    decode_line,
    from_json_number,
    read_metrics,
    to_json_number,
    validate_line,
)
from custodes.evaluate.trees import TreeSettings

__all__ = [
    "BASELINES",
    "METRICS_KEYS",
    "BaselineInputs",
    "BaselineScores",
    "BinaryMetrics",
    "Confusion",
    "Evaluation",
    "MetricsLine",
    "Played",
    "Scene",
    "TreeSettings",
    "binary_metrics",
    "confusion",
    "contains",
    "decode_evaluation",
    "decode_line",
    "encode_evaluation",
    "evaluate_play",
    "from_json_number",
    "pr_curve",
    "read_evaluation",
    "read_metrics",
    "rewards_of",
    "run_baselines",
    "threshold_for_f1",
    "to_json_number",
    "validate_line",
]
