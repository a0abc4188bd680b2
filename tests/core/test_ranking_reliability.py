import pytest

from attnas.core import Objective, Trial, rank_correlation, supernet_ranking

OBJECTIVES = (Objective("latency_ms", "min"), Objective("accuracy", "max"))


@pytest.fixture
def inherited_of(architectures):
    """The later of the architectures, the less the loss and the higher the accuracy."""

    def make(count=None):
        return {
            a: {"accuracy": i / 100, "validation_loss": 9 - i / 10}
            for i, a in enumerate(architectures[:count])
        }

    return make


@pytest.fixture
def trials_of(architectures):
    def make(accuracies):
        return [
            Trial(i, architectures[i], 3, "complete", {"accuracy": accuracy})
            for i, accuracy in enumerate(accuracies)
        ]

    return make


def test_few_architectures_give_no_verdict(inherited_of, trials_of):
    found = supernet_ranking(inherited_of(), trials_of([0.1, 0.2, 0.3]), OBJECTIVES)
    assert not found.ranks_poorly
    assert str(found) == (
        "Inherited losses were compared with stand-alone training for 3 architectures; a "
        "verdict needs 10. All that is shown is stand-alone."
    )


def test_a_good_ranking_is_trusted(inherited_of, trials_of):
    accuracies = [0.5 + i / 1000 for i in range(12)]
    found = supernet_ranking(inherited_of(), trials_of(accuracies), OBJECTIVES)
    assert not found.ranks_poorly
    assert found.by_loss.trusted
    assert found.by_loss.tau == found.by_metric.tau == pytest.approx(1)
    tau = rank_correlation(range(12), accuracies)
    assert str(found) == (
        "Kendall's tau between the inherited loss, by which the supernet ranks, and the "
        f"stand-alone accuracy of 12 networks: 1.00 (95 % interval {tau.low:.2f} to 1.00). "
        "Of the inherited accuracy: 1.00. All that is shown is stand-alone."
    )


def test_a_poor_ranking_is_said(inherited_of, trials_of):
    accuracies = [0.5, 0.6, 0.4, 0.7, 0.3, 0.8, 0.2, 0.9, 0.1, 0.55]
    found = supernet_ranking(inherited_of(), trials_of(accuracies), OBJECTIVES)
    tau = rank_correlation(range(10), accuracies)
    assert found.ranks_poorly
    assert str(found) == (
        "Kendall's tau between the inherited loss, by which the supernet ranks, and the "
        f"stand-alone accuracy of 10 networks: {tau.tau:.2f} (95 % interval {tau.low:.2f} to "
        f"{tau.high:.2f}). Of the inherited accuracy: {tau.tau:.2f}. The lower bound is under "
        "0.3: the supernet does not rank reliably here. Stand-alone training alone ranks all "
        "that is shown."
    )


def test_loss_and_metric_are_compared_each_by_itself(inherited_of, trials_of):
    inherited = inherited_of(12)
    for i, metrics in enumerate(inherited.values()):
        metrics["accuracy"] = -i  # the loss ranks as the trainings do, the accuracy against them
    found = supernet_ranking(inherited, trials_of([i / 20 for i in range(12)]), OBJECTIVES)
    assert found.by_loss.tau == pytest.approx(1)
    assert found.by_metric.tau == pytest.approx(-1)
    assert not found.ranks_poorly
    assert "Of the inherited accuracy: -1.00." in str(found)


def test_accuracies_that_are_all_alike_tell_nothing(inherited_of, trials_of):
    found = supernet_ranking(inherited_of(), trials_of([0.5] * 12), OBJECTIVES)
    assert found.ranks_poorly
    assert str(found) == (
        "Kendall's tau between the inherited loss, by which the supernet ranks, and the "
        "stand-alone accuracy of 12 networks cannot be told: one of the two does not vary. "
        "Stand-alone training alone ranks all that is shown."
    )


def test_only_trained_trials_with_an_inherited_accuracy_count_each_architecture_once(
    inherited_of, trials_of, architectures
):
    trials = trials_of([i / 20 for i in range(12)])  # four are not known to the supernet
    trials[0] = Trial(0, architectures[0], 3, "infeasible", {"latency_ms": 1.0})
    trials[1] = Trial(1, architectures[1], 3, "failed", reason="diverged")
    shorter = Trial(12, architectures[7], 1, "complete", {"accuracy": 0.0})
    found = supernet_ranking(inherited_of(8), [*trials, shorter], OBJECTIVES)
    assert found.by_loss.pairs == 6
    assert found.by_loss.tau == pytest.approx(1)  # the longer training of the last one counts


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_trial_without_a_finite_figure_does_not_count(inherited_of, trials_of, value):
    trials = trials_of([i / 20 for i in range(12)])
    metrics = {} if value is None else {"accuracy": value}
    trials[3] = Trial(3, trials[3].architecture, 3, "complete", metrics)
    assert supernet_ranking(inherited_of(), trials, OBJECTIVES).by_loss.pairs == 11


def test_where_the_loss_is_the_objective_the_losses_are_compared(inherited_of, architectures):
    losses = [3.0, 2.9, 2.8, 2.7, 2.6, 2.5, 2.4, 2.3, 2.1, 2.2]  # one of 45 pairs is discordant
    trials = [
        Trial(i, architectures[i], 3, "complete", {"accuracy": 0.5, "validation_loss": loss})
        for i, loss in enumerate(losses)
    ]
    found = supernet_ranking(inherited_of(), trials, (Objective("validation_loss", "min"),))
    assert found.metric == "validation_loss"
    assert found.by_loss.tau == pytest.approx(1 - 2 / 45)
    assert "stand-alone validation loss of 10 networks" in str(found)
    assert "Of the inherited" not in str(found)


def test_without_an_objective_that_takes_a_training_the_loss_is_compared(inherited_of, trials_of):
    found = supernet_ranking(inherited_of(), trials_of([0.5]), (Objective("params", "min"),))
    assert found.metric == "validation_loss"
