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
from .export import export, export_onnx, export_python, load_export, write_export
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
from .report import report
from .rows import nothing_feasible, pareto_rows, show_rows
from .run import Run
from .statistics import (
    PairedDifference,
    SeedDifference,
    difference_to_plain,
    paired_difference,
    seed_differences,
)
from .tables import compare_table, confirmation_table, listing_table, pareto_table, show_table
from .trial import State, Trial

__all__ = [
    "CONFIRMATION_FILE",
    "METRICS",
    "Comparison",
    "Confirmation",
    "Confirmed",
    "ConfirmedScore",
    "Metric",
    "Objective",
    "PairedDifference",
    "Run",
    "SeedDifference",
    "State",
    "Trial",
    "compare",
    "compare_rows",
    "compare_table",
    "confirmation_table",
    "crowding",
    "difference_to_plain",
    "export",
    "export_onnx",
    "export_python",
    "front",
    "hypervolume",
    "hypervolume_over_trials",
    "knee",
    "listing_table",
    "load_export",
    "metric",
    "non_dominated",
    "nothing_feasible",
    "paired_difference",
    "pareto_rows",
    "pareto_table",
    "ranks",
    "read_confirmation",
    "reference_box",
    "report",
    "seed_differences",
    "share_of_box",
    "show_rows",
    "show_table",
    "write_confirmation",
    "write_export",
]
