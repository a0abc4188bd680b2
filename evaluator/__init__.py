"""Training, complexity and latency: what an architecture is worth."""

from .additive import AdditiveCost, additive_costs
from .batches import Batches, safe_layout
from .checkpoint import Checkpoint
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
from .initial_weights import FromBackbone, FromScratch, FromSupernet, Start
from .latency_table import TRUSTED_MAPE, LatencyTable
from .optimizer import set_rate, sgd
from .precision import autocast, resolved_precision
from .recipe import Precision, Recipe, half_epochs, one_cycle
from .table import Table
from .time_slices import TimeSlices, take_turns
from .training import Outcome, TrainingFailed, train

__all__ = [
    "TRUSTED_MAPE",
    "AdditiveCost",
    "Batches",
    "Checkpoint",
    "Constraint",
    "Data",
    "Device",
    "Evaluation",
    "Evaluator",
    "FromBackbone",
    "FromScratch",
    "FromSupernet",
    "LatencyTable",
    "Outcome",
    "Pool",
    "Precision",
    "Recipe",
    "Screening",
    "Start",
    "Table",
    "TableEvaluator",
    "TimeSlices",
    "TrainingEvaluator",
    "TrainingFailed",
    "additive_costs",
    "autocast",
    "device",
    "devices",
    "half_epochs",
    "load_data",
    "missing_metrics",
    "one_cycle",
    "resolved_precision",
    "safe_layout",
    "set_rate",
    "sgd",
    "take_turns",
    "train",
]
