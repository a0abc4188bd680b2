import math

import pytest

from attnas.core import Trial
from attnas.results import proxies_text, proxy_correlations
from attnas.search_space import Architecture, Backbone, stage_decisions

BACKBONE = Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (1, 8, 8), (2,))
TEXTS = ["none", "eca@residual", "eca@post", "sse@residual", "sse@post", "ese@post"]


def trial(number, accuracy, *, state="complete", epochs=1, **proxies):
    texts = [TEXTS[number], "none", "none"]
    architecture = Architecture.read(BACKBONE, stage_decisions(BACKBONE), texts)
    return Trial(number, architecture, epochs, state, {"accuracy": accuracy, **proxies})


def test_the_correlation_is_over_complete_trials_with_finite_figures():
    trials = [
        trial(0, 0.1, synflow=1.0),
        trial(1, 0.2, synflow=2.0),
        trial(2, 0.3, synflow=4.0),
        trial(3, 0.4, synflow=3.0),
        trial(4, 0.9, synflow=-math.inf),
        trial(5, 0.0, synflow=9.0, state="failed"),
    ]
    [(name, found)] = proxy_correlations(trials, "accuracy").items()
    assert name == "synflow"
    assert found.pairs == 4
    assert found.tau == pytest.approx((5 - 1) / 6)  # one of six pairs is turned round


def test_an_architecture_counts_once_by_its_longest_training():
    trials = [
        trial(0, 0.1, naswot=1.0),
        trial(1, 0.2, naswot=2.0),
        trial(1, 0.0, naswot=2.0, epochs=4),
    ]
    assert proxy_correlations(trials, "accuracy")["naswot"].tau == pytest.approx(-1)


def test_what_was_not_asked_for_is_not_spoken_of():
    assert proxies_text([trial(0, 0.1), trial(1, 0.2)], "accuracy") == ""


def test_the_text_has_number_and_interval_or_says_why_there_is_none():
    rising = [trial(i, i / 10, grad_norm=float(i)) for i in range(6)]
    low = proxy_correlations(rising, "accuracy")["grad_norm"].low
    assert proxies_text(rising, "accuracy") == (
        "grad_norm against accuracy over 6 architectures: Kendall's tau 1.00 "
        f"(95 % interval {low:.2f} to 1.00)."
    )
    constant = [trial(i, i / 10, synflow=2.0) for i in range(6)]
    assert proxies_text(constant, "accuracy") == (
        "synflow against accuracy over 6 architectures: no rank correlation, as one of the two "
        "does not vary."
    )
