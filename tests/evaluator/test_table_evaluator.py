import pandas as pd
import pytest

from attnas.core import AttnasError, Constraint, Screening, TrainingResult, excesses
from attnas.evaluator import Table, TableEvaluator
from attnas.search_space import Backbone, SearchSpace

BACKBONE = Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (1, 8, 8), (2,))
SPACE = SearchSpace.create(
    BACKBONE, blocks=["none", "se", "eca"], ratios=[4], placements=["residual"]
)
PLAIN = SPACE.plain
WITH_SE = SPACE.architecture(["se:r4@residual", "none", "none"])


@pytest.fixture
def table(tmp_path):
    """Loads a table of rows of options with their accuracy, latency and parameters."""

    def load(*rows):
        columns = [*SPACE.names, "accuracy", "latency_ms", "params"]
        frame = pd.DataFrame(rows, columns=columns).assign(epochs=3, seconds=7.0)
        frame.to_csv(tmp_path / "table.csv", index=False)
        return Table.load(tmp_path / "table.csv", SPACE)

    return load


PLAIN_ROW = ("none", "none", "none", 0.5, 2.0, 1000)
SE_ROW = ("se:r4@residual", "none", "none", 0.6, 3.0, 1100)


def test_a_table_replays_metrics_and_constraints(table):
    bounds = [Constraint.parse("latency_ms", "<= 1.2x"), Constraint.parse("accuracy", ">= 0.8")]
    replay = TableEvaluator(table(PLAIN_ROW, SE_ROW), bounds, PLAIN, 3)
    assert replay.screen(PLAIN) == Screening({"latency_ms": 2.0, "params": 1000})
    screening = replay.screen(WITH_SE)
    assert screening.metrics == {"latency_ms": 3.0, "params": 1100}
    assert screening.violations == {"latency_ms <= 1.2x": pytest.approx(0.25)}
    result = replay.train(WITH_SE, 3)
    assert result == TrainingResult(
        {"accuracy": 0.6, "latency_ms": 3.0, "params": 1100}, seconds=7.0, epochs=3
    )
    assert excesses(bounds, result.metrics, replay.plain.metrics) == {
        "latency_ms <= 1.2x": pytest.approx(0.25),
        "accuracy >= 0.8": pytest.approx(0.25),
    }


def test_the_plain_backbone_is_judged_too(table):
    bounds = [Constraint.parse("params", "<= 800")]
    replay = TableEvaluator(table(PLAIN_ROW), bounds, PLAIN, 3)
    assert replay.screen(PLAIN).violations == {"params <= 800": pytest.approx(0.25)}


def test_nothing_is_measured_and_the_schedule_is_the_recordings(table):
    replay = TableEvaluator(table(PLAIN_ROW, SE_ROW), [], PLAIN, 3)
    assert replay.latency is None
    assert replay.train(WITH_SE, 3, schedule_epochs=9) == replay.train(WITH_SE, 3)
    assert replay.environment() == {"device": {}, "training_device": "none", "precision": "none"}


def test_a_table_without_the_plain_backbone_cannot_have_a_relative_bound(table):
    recorded = table(SE_ROW)
    with pytest.raises(AttnasError) as caught:
        TableEvaluator(recorded, [Constraint.parse("latency_ms", "<= 1.2x")], PLAIN, 3)
    assert str(caught.value) == (
        "constraints.latency_ms: '<= 1.2x' is relative to the plain backbone, which the table "
        "does not hold. Write an absolute bound."
    )
    absolute = TableEvaluator(recorded, [Constraint.parse("latency_ms", "<= 2")], PLAIN, 3)
    assert absolute.screen(PLAIN) == Screening({})
    assert absolute.screen(WITH_SE).violations == {"latency_ms <= 2": 0.5}


def test_what_a_table_lacks_is_a_lookup_error(table):
    replay = TableEvaluator(table(PLAIN_ROW), [], PLAIN, 3)
    with pytest.raises(LookupError, match="has no row for"):
        replay.screen(WITH_SE)
    with pytest.raises(LookupError, match="not after 4"):
        replay.train(PLAIN, 4)
