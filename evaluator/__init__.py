"""Training, complexity and latency: what an architecture is worth."""

from .additive import AdditiveCost
from .constraints import Constraint
from .data import Data, Pool, load_data
from .devices import Device, device, devices
from .evaluator import (
    Evaluation,
    Evaluator,
    Screening,
    TableEvaluator,
    TrainingEvaluator,
    missing_metrics,
)
from .latency_table import LatencyTable
from .recipe import Recipe
from .table import Table
from .training import Outcome, TrainingFailed, train

__all__ = [
    "AdditiveCost",
    "Constraint",
    "Data",
    "Device",
    "Evaluation",
    "Evaluator",
    "LatencyTable",
    "Outcome",
    "Pool",
    "Recipe",
    "Screening",
    "Table",
    "TableEvaluator",
    "TrainingEvaluator",
    "TrainingFailed",
    "device",
    "devices",
    "load_data",
    "missing_metrics",
    "train",
]
