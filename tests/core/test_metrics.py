import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnas.core import (
    METRICS,
    InputError,
    Metric,
    Objective,
    declare_metric,
    described,
    in_order,
    metric,
    register_metric,
)

BUILT_IN = list(METRICS)  # before any test registers its own
TRAINED = {
    "accuracy",
    "dice",
    "mean_absolute_error",
    "mean_average_precision",
    "mean_iou",
    "r2",
    "validation_loss",
}


@pytest.fixture
def _own_register(monkeypatch):
    """What a test registers is gone after it."""
    METRICS.items()  # what is loaded in the test itself would be forgotten
    for name in ("_found", "_defined", "_provided"):
        monkeypatch.setattr(METRICS, name, dict(getattr(METRICS, name)))


def test_a_metric_is_found_by_its_name():
    assert [metric(name).name for name in BUILT_IN] == BUILT_IN
    assert (metric("accuracy").better, metric("latency_ms").better) == ("max", "min")


def test_only_what_training_gives_is_not_cheap():
    assert {name for name in BUILT_IN if not metric(name).cheap} == TRAINED


def test_only_cheap_metrics_add_up_or_are_taken_on_request():
    additive = {name for name in BUILT_IN if metric(name).additive}
    requested = {name for name in BUILT_IN if metric(name).on_request}
    assert additive == {"latency_ms", "params", "flops", "activations"}
    assert requested == {"synflow", "naswot", "grad_norm"}
    assert all(metric(name).meaning for name in BUILT_IN)


def test_an_unknown_metric_is_refused_with_the_nearest():
    with pytest.raises(InputError) as caught:
        metric("latency")
    assert str(caught.value) == "unknown metric 'latency'. Did you mean 'latency_ms'?"


def test_a_metric_of_a_training_of_ones_own_is_described_as_any_number():
    assert described("latency_ms") is metric("latency_ms")
    assert described("f1") == Metric("f1", "max")


def test_a_loss_is_less_the_better_the_metric():
    metrics = {"accuracy": 0.75, "latency_ms": 3.0}
    assert Objective("accuracy", "max").loss(metrics) == -0.75
    assert Objective("latency_ms", "min").loss(metrics) == 3.0
    with pytest.raises(KeyError, match="params"):
        Objective("params", "min").loss(metrics)


def test_an_objective_knows_its_metric_and_gives_an_unregistered_one_its_direction():
    assert Objective("latency_ms", "min").described is metric("latency_ms")
    assert Objective("perplexity", "min").described == Metric("perplexity", "min")


def test_columns_are_what_training_gave_then_by_rank_and_name():
    names = ["params", "zeta", "synflow", "validation_loss", "latency_ms", "accuracy", "alpha"]
    expected = ["accuracy", "validation_loss", "alpha", "zeta", "latency_ms", "params", "synflow"]
    assert in_order(names) == expected
    assert in_order(reversed(names)) == expected
    assert in_order(["params", "params"]) == ["params"]


# Values as text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("accuracy", 0.63824, "63.82 %"),
        ("latency_ms", 2.0, "2.000"),
        ("latency_ms", 0.01234567, "0.01235"),
        ("latency_ms", 12345.6, "12,346"),
        ("latency_ms", 0.0, "0.000"),
        ("latency_ms", 1.5e-9, "1.5e-09"),
        ("latency_ms", -3.14159, "-3.142"),
        ("params", 77850.0, "77,850"),
        ("flops", 12_480_000, "12.48 M"),
        ("flops", 1_248_000_000, "1,248.00 M"),
        ("flops", 124_800, "0.1248 M"),
        ("flops", 99_999, "99,999"),
        ("flops", -12_480_000, "-12.48 M"),
        ("peak_memory_mb", 1.5, "1.500"),
        ("accuracy", None, "-"),
        ("latency_ms", math.nan, "-"),
        ("latency_ms", math.inf, "inf"),
        ("accuracy", -math.inf, "-inf"),
        ("params", math.inf, "inf"),
    ],
)
def test_values_are_shown_with_four_digits(name, value, text):
    assert metric(name).text(value) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("accuracy", 0.013, "+1.30 %"),
        ("latency_ms", 0.5, "+0.5000"),
        ("params", 100, "+100"),
        ("params", -1234, "-1,234"),
        ("flops", 12_480_000, "+12.48 M"),
        ("latency_ms", math.inf, "+inf"),
        ("latency_ms", 1.5e-9, "+1.5e-09"),
    ],
)
def test_differences_have_their_sign(name, value, text):
    assert metric(name).text(value, signed=True) == text


@given(st.floats(1e-4, 1e12))
def test_four_digits_are_the_value_but_for_rounding(value):
    text = Metric("any", "min").text(value).replace(",", "")
    assert float(text) == pytest.approx(value, rel=5.1e-4)
    assert len(text.replace(".", "").lstrip("0")) >= 4


@given(st.integers(100_000, 10**15))
def test_millions_are_the_value_but_for_rounding(value):
    number, unit = metric("flops").text(value).split()
    assert unit == "M"
    assert float(number.replace(",", "")) * 1e6 == pytest.approx(value, rel=5.1e-4)


def test_names_have_their_units():
    names = ["accuracy", "latency_ms", "params", "peak_memory_mb", "grad_norm"]
    assert [metric(name).heading for name in names] == [
        "accuracy",
        "latency (ms)",
        "params",
        "peak memory (MB)",
        "grad norm",
    ]
    assert metric("latency_ms").named(2.0) == "latency 2.000 ms"
    assert metric("params").named(10) == "params 10"
    assert metric("accuracy").named(0.5) == "accuracy 50.00 %"


def test_differences_of_shares_are_in_points_and_of_others_in_their_unit():
    accuracy, flops = metric("accuracy"), metric("flops")
    assert accuracy.difference(0.013, 0.0045) == "+1.30 ± 0.45"
    assert accuracy.difference(-0.013) == "-1.30"
    assert accuracy.difference(None, 0.1) == "-"
    assert flops.difference(1500.0, 20.0) == "+1,500 ± 20.00"
    assert metric("latency_ms").difference(-0.25, 0.125) == "-0.2500 ± 0.1250"


def test_counts_are_whole_numbers():
    counts = {name for name in BUILT_IN if metric(name).is_count}
    assert counts == {"params", "flops", "activations"}


# Metrics of one's own


@pytest.mark.usefixtures("_own_register")
def test_a_function_becomes_the_measure_of_a_metric():
    @register_metric("depth", better="min", cheap=True, format="count", rank=25)
    def depth(network, input_shape):
        """Number of layers.

        More of it.
        """
        return float(len(network))

    found = metric("depth")
    assert found == Metric("depth", "min", "Number of layers.", cheap=True, format="count", rank=25)
    assert found.measure is depth
    assert depth([1, 2], (3,)) == 2.0  # the function itself is given back
    assert found.text(7.0) == "7"
    assert in_order(["flops", "depth", "params"]) == ["params", "depth", "flops"]
    assert METRICS.summary("depth") == "Number of layers."


@pytest.mark.usefixtures("_own_register")
def test_proxies_are_the_last_columns_whatever_their_rank():
    declare_metric("late", better="min", meaning="late", cheap=True, rank=900)
    assert in_order(["synflow", "late", "params"]) == ["params", "late", "synflow"]


@pytest.mark.usefixtures("_own_register")
def test_a_meaning_that_is_given_goes_before_the_docstring():
    @register_metric("width", better="min", meaning="the widest layer", unit="channels")
    def width(network, input_shape):
        return 1.0

    assert metric("width").meaning == "the widest layer"
    assert metric("width").heading == "width (channels)"
    register_metric("bare", better="max")(lambda outputs, targets: 0.0)
    assert metric("bare") == Metric("bare", "max")


@pytest.mark.usefixtures("_own_register")
@pytest.mark.parametrize("name", ["latency_ms", "accuracy"])
def test_the_name_of_a_built_in_metric_cannot_be_taken(name):
    with pytest.raises(ValueError, match="metric") as caught:
        register_metric(name, better="max")(lambda network, input_shape: 0.0)
    assert str(caught.value) == f"metric {name!r} is registered already; take another name"
    assert metric(name).measure is None


@pytest.mark.usefixtures("_own_register")
def test_a_metric_that_is_declared_twice_must_be_the_same():
    first = declare_metric("f1", better="max", meaning="F1", format="percent")
    assert declare_metric("f1", better="max", meaning="F1", format="percent") == first
    assert first.text(0.5) == "50.00 %"
    with pytest.raises(ValueError, match=r"^metric 'f1' is registered already"):
        declare_metric("f1", better="min", meaning="F1")
