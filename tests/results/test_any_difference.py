import numpy as np
import pytest
from scipy.stats import chi2, f

from attnas.core import ItemScores
from attnas.results.any_difference import difference_p_value
from attnas.results.headline import headline


def bits(table):
    return [ItemScores.of("accuracy", np.asarray(row, dtype=bool)) for row in table]


def numbers(table):
    return [ItemScores.of("dice", np.asarray(row, dtype="<f4")) for row in table]


def cochran(table):
    """Cochran's Q as in the paper: table (trials, items) of 0 and 1."""
    k = len(table)
    by_trial, by_item = table.sum(1), table.sum(0)
    q = (k - 1) * (k * (by_trial**2).sum() - by_trial.sum() ** 2)
    return q / (k * by_item.sum() - (by_item**2).sum())


def test_bits_are_compared_by_cochrans_q():
    table = (np.random.default_rng(0).random((4, 30)) < [[0.4], [0.5], [0.6], [0.8]]).astype(int)
    expected = chi2.sf(cochran(table), 3)
    assert 1e-6 < expected < 0.5
    assert difference_p_value(bits(table)) == pytest.approx(expected, rel=1e-9)


def test_numbers_are_compared_by_an_analysis_of_variance_with_the_items_as_blocks():
    rng = np.random.default_rng(1)
    table = rng.normal(size=(3, 40)).astype("<f4") + rng.normal(size=40).astype("<f4")
    table[2] += np.float32(0.4)
    values = table.astype(float)
    of_trials, of_items = values.mean(1, keepdims=True), values.mean(0, keepdims=True)
    rest = values - of_trials - of_items + values.mean()
    between = 40 * np.square(of_trials - values.mean()).sum() / 2
    expected = f.sf(between / (np.square(rest).sum() / (2 * 39)), 2, 2 * 39)
    assert difference_p_value(numbers(table)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", [bits, numbers])
def test_where_nothing_differs_one_run_in_twenty_is_told_apart(kind):
    rng = np.random.default_rng(2)
    hard = rng.random(200)
    found = []
    for _ in range(400):
        draws = rng.random((10, 200))
        found.append(difference_p_value(kind(draws < hard if kind is bits else draws + hard)))
    assert np.mean(np.array(found) <= 0.05) == pytest.approx(0.05, abs=0.035)


@pytest.mark.parametrize("kind", [bits, numbers])
def test_equal_trainings_do_not_differ(kind):
    assert difference_p_value(kind([[1, 0, 1]] * 3)) == 1.0


def test_a_run_whose_trials_are_within_noise_says_so_first(run, trial):
    rng = np.random.default_rng(3)
    for number in range(5):
        run.append(trial(number, scores=bits(rng.random((1, 20)) < 0.6)[0]))
    said = "The 5 trials compared are all within noise of each other (p = "
    assert headline(run).startswith(said)
    assert repr(run.front()).startswith(said)
    assert "Train for more epochs, or score more items." in headline(run)


def test_a_run_with_a_trial_that_stands_out_says_nothing_of_it(run, trial):
    for number, right in enumerate((4, 5, 5, 5, 19)):
        run.append(trial(number, scores=bits([np.arange(20) < right])[0]))
    assert "within noise of each other" not in headline(run)


def test_four_trials_are_too_few_to_say_that_nothing_differs(run, trial):
    for number in range(4):
        run.append(trial(number, scores=bits([[True, False] * 10])[0]))
    assert "within noise of each other" not in headline(run)
