import pytest

from attnas.results import METRICS, Objective, metric
from attnas.search_space import InputError


def test_a_metric_is_found_by_its_name():
    assert {name: metric(name).name for name in METRICS} == {name: name for name in METRICS}
    assert (metric("accuracy").better, metric("latency_ms").better) == ("max", "min")


def test_only_what_training_gives_is_not_cheap():
    assert {name for name, m in METRICS.items() if not m.cheap} == {"accuracy", "validation_loss"}


def test_an_unknown_metric_is_refused_with_the_nearest():
    with pytest.raises(InputError) as caught:
        metric("latency")
    assert str(caught.value) == "unknown metric 'latency'. Did you mean 'latency_ms'?"


def test_a_loss_is_less_the_better_the_metric():
    metrics = {"accuracy": 0.75, "latency_ms": 3.0}
    assert Objective("accuracy", "max").loss(metrics) == -0.75
    assert Objective("latency_ms", "min").loss(metrics) == 3.0
    with pytest.raises(KeyError, match="params"):
        Objective("params", "min").loss(metrics)
