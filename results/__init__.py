"""Runs and what can be read from them."""

from .compare import Comparison, compare, compare_rows
from .confirmation import (
    CONFIRMATION_FILE,
    Confirmation,
    Confirmed,
    ConfirmedScore,
    read_confirmation,
    write_confirmation,
)
from .database import check_storage
from .doubt import (
    RECOMMENDATIONS_FILE,
    RECOMMENDATIONS_FORMAT,
    Doubt,
    RankCorrelation,
    doubt,
    doubt_of,
    rank_correlation,
    write_doubt,
)
from .export import (
    export,
    export_onnx,
    export_python,
    load_export,
    quiet_onnx,
    write_export,
)
from .folder import replace_file
from .front import (
    crowding,
    front,
    hypervolume,
    hypervolume_over_trials,
    knee,
    non_dominated,
    ranks,
    reference_box,
    share_of_box,
)
from .metrics import METRICS, Metric, Objective, metric
from .proxies import PROXIES, proxies_text, proxy_correlations
from .remeasured import FRONT_LATENCY_FILE, Remeasured
from .report import page as report_page
from .report import report
from .rows import nothing_feasible, pareto_rows, show_rows
from .run import CHECKPOINTS, Run
from .rungs import RungCorrelation, epochs_trained, longest, rung_correlations, rungs_text
from .statistics import (
    PairedDifference,
    SeedDifference,
    difference_to_plain,
    paired_difference,
    seed_differences,
)
from .tables import compare_table, confirmation_table, listing_table, pareto_table, show_table
from .trial import State, Trial, violations_text

__all__ = [
    "CHECKPOINTS",
    "CONFIRMATION_FILE",
    "FRONT_LATENCY_FILE",
    "METRICS",
    "PROXIES",
    "RECOMMENDATIONS_FILE",
    "RECOMMENDATIONS_FORMAT",
    "Comparison",
    "Confirmation",
    "Confirmed",
    "ConfirmedScore",
    "Doubt",
    "Metric",
    "Objective",
    "PairedDifference",
    "RankCorrelation",
    "Remeasured",
    "Run",
    "RungCorrelation",
    "SeedDifference",
    "State",
    "Trial",
    "check_storage",
    "compare",
    "compare_rows",
    "compare_table",
    "confirmation_table",
    "crowding",
    "difference_to_plain",
    "doubt",
    "doubt_of",
    "epochs_trained",
    "export",
    "export_onnx",
    "export_python",
    "front",
    "hypervolume",
    "hypervolume_over_trials",
    "knee",
    "listing_table",
    "load_export",
    "longest",
    "metric",
    "non_dominated",
    "nothing_feasible",
    "paired_difference",
    "pareto_rows",
    "pareto_table",
    "proxies_text",
    "proxy_correlations",
    "quiet_onnx",
    "rank_correlation",
    "ranks",
    "read_confirmation",
    "reference_box",
    "replace_file",
    "report",
    "report_page",
    "rung_correlations",
    "rungs_text",
    "seed_differences",
    "share_of_box",
    "show_rows",
    "show_table",
    "violations_text",
    "write_confirmation",
    "write_doubt",
    "write_export",
]
