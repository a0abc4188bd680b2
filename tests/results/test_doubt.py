import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnas.results import Objective, Trial, doubt, rank_correlation
from attnas.search_space import NONE, Architecture, Backbone, Choice, Stage

BACKBONE = Backbone("b", (), (3, 8, 8), 10, (Stage("one", ()), Stage("two", ())))
CHOICES = (NONE, *(Choice("se", r, p) for r in (4, 8, 16) for p in ("residual", "post")))
ARCHITECTURES = [Architecture(BACKBONE, (a, b), True) for a in CHOICES for b in CHOICES]


OBJECTIVES = (Objective("latency_ms", "min"), Objective("accuracy", "max"))


def inherited_of(count=None):
    """The later of the architectures, the less the loss and the higher the accuracy."""
    return {
        a: {"accuracy": i / 100, "validation_loss": 9 - i / 10}
        for i, a in enumerate(ARCHITECTURES[:count])
    }


def trials_of(accuracies, **others):
    return [
        Trial(i, ARCHITECTURES[i], 3, "complete", {"accuracy": accuracy}, **others)
        for i, accuracy in enumerate(accuracies)
    ]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=5, max_size=25))
def test_tau_is_what_counting_pairs_gives(points):
    """Tau-b by its definition: pairs that are tied in one figure count in one root only."""
    signs = [(np.sign(a[0] - b[0]), np.sign(a[1] - b[1])) for a, b in combinations(points, 2)]
    untied = math.sqrt(sum(x != 0 for x, _ in signs) * sum(y != 0 for _, y in signs))
    found = rank_correlation(*zip(*points, strict=True))
    if not untied:
        assert math.isnan(found.tau)
        assert (found.low, found.high) == (-1, 1)
    else:
        assert found.tau == pytest.approx(sum(x * y for x, y in signs) / untied)
        assert -1 <= found.low <= found.high <= 1
    assert found.pairs == len(points)


def test_the_interval_is_that_of_fieller_and_others():
    x = list(range(14))
    y = [1, 0, 2, 4, 3, 6, 5, 9, 7, 8, 10, 13, 12, 11]
    found = rank_correlation(x, y)
    assert found.tau == pytest.approx(1 - 2 * 8 / 91)  # 8 of 91 pairs are discordant
    half = 1.959964 * math.sqrt(0.437 / 10)
    assert math.atanh(found.high) == pytest.approx(math.atanh(found.tau) + half, abs=1e-5)
    assert math.atanh(found.low) == pytest.approx(math.atanh(found.tau) - half, abs=1e-5)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """Normal pairs with correlation r: tau is 2 / pi arcsin(r) (Kendall 1949)."""
    rng, r = np.random.default_rng(0), 0.6
    truth, hits = 2 / math.pi * math.asin(r), 0
    for _ in range(400):
        x, noise = rng.normal(size=(2, 15))
        found = rank_correlation(x, r * x + math.sqrt(1 - r * r) * noise)
        hits += found.low <= truth <= found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_a_perfect_order_of_few_is_not_certain():
    found = rank_correlation(range(10), range(10))
    assert found.tau == pytest.approx(1)
    assert 0.3 < found.low < 1


def test_figures_of_different_length_are_refused():
    with pytest.raises(ValueError, match="2 figures against 3"):
        rank_correlation([1, 2], [1, 2, 3])


def test_few_architectures_give_no_verdict():
    found = doubt(inherited_of(), trials_of([0.1, 0.2, 0.3]), OBJECTIVES)
    assert not found.ranks_poorly
    assert str(found) == (
        "Inherited losses were held against stand-alone training for 3 architectures; a "
        "verdict needs 10. All that is shown is stand-alone."
    )


def test_a_good_ranking_is_trusted():
    found = doubt(inherited_of(), trials_of([0.5 + i / 1000 for i in range(12)]), OBJECTIVES)
    assert not found.ranks_poorly
    assert found.ranking.trusted
    assert str(found).endswith("All that is shown is stand-alone.")


def test_a_poor_ranking_is_said():
    accuracies = [0.5, 0.6, 0.4, 0.7, 0.3, 0.8, 0.2, 0.9, 0.1, 0.55]
    found = doubt(inherited_of(), trials_of(accuracies), OBJECTIVES)
    tau = rank_correlation(range(10), accuracies)
    assert found.ranks_poorly
    assert str(found) == (
        "Kendall's tau between the inherited loss, by which the supernet ranks, and the "
        f"stand-alone accuracy of 10 networks: {tau.tau:.2f} (95 % interval {tau.low:.2f} to "
        f"{tau.high:.2f}). Between the accuracies: {tau.tau:.2f}. The lower bound is under 0.3: "
        "the supernet does not rank reliably here. Stand-alone training alone ranks all that is "
        "shown."
    )


def test_accuracies_that_are_all_alike_tell_nothing():
    found = doubt(inherited_of(), trials_of([0.5] * 12), OBJECTIVES)
    assert found.ranks_poorly
    assert "of 12 networks cannot be told: one of the two does not vary. Stand-alone" in str(found)


def test_only_trained_trials_with_an_inherited_accuracy_count_each_architecture_once():
    trials = trials_of([i / 20 for i in range(12)])  # four are not known to the supernet
    trials[0] = Trial(0, ARCHITECTURES[0], 3, "infeasible", {"latency_ms": 1.0})
    trials[1] = Trial(1, ARCHITECTURES[1], 3, "failed", reason="diverged")
    shorter = Trial(12, ARCHITECTURES[7], 1, "complete", {"accuracy": 0.0})
    found = doubt(inherited_of(8), [*trials, shorter], OBJECTIVES)
    assert found.ranking.pairs == 6
    assert found.ranking.tau == pytest.approx(1)  # the longer training of the last one counts


def test_where_the_loss_is_the_objective_the_losses_are_compared():
    losses = [3.0, 2.9, 2.8, 2.7, 2.6, 2.5, 2.4, 2.3, 2.1, 2.2]  # one of 45 pairs is discordant
    trials = [
        Trial(i, ARCHITECTURES[i], 3, "complete", {"accuracy": 0.5, "validation_loss": loss})
        for i, loss in enumerate(losses)
    ]
    found = doubt(inherited_of(), trials, (Objective("validation_loss", "min"),))
    assert found.metric == "validation_loss"
    assert found.ranking.tau == pytest.approx(1 - 2 / 45)
    assert "stand-alone validation loss of 10 networks" in str(found)
