"""Spaces with all their scores: what is a share, what a search sees, and tables of others."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from attnas.strategies import STRATEGIES, make_strategy, preparing_strategies
from benchmarks import problems
from benchmarks.pool import Pool
from benchmarks.problems import OBJECTIVES, PROBLEMS, Problem, numbers_of, space_of
from benchmarks.strategies import search

FORMULAS = [name for name in PROBLEMS if name != "recorded"]
PROPOSING = [n for n in STRATEGIES if n not in (*preparing_strategies(), "halving", "racing")]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Small tables of the same columns, with formulas for figures."""
    folder = tmp_path_factory.mktemp("tables")
    rows = [
        {f"c{i}": option for i, option in enumerate(options)}
        | {"test_acc_seed0": 90 + sum(options), "mean_acc": 89.5 + sum(options)}
        | {"flops": 1e6 * (1 + sum(options))}
        for options in product(range(3), repeat=8)
    ]
    shuffled = pd.DataFrame(rows).sample(frac=1, random_state=0)
    shuffled.to_parquet(folder / "nas_bench_macro_cifar10.parquet")
    rng = np.random.default_rng(0)
    rows = [
        {f"block0_{part}": rng.choice([3, 5]) for part in "ekl"}
        | {f"block1_{part}": rng.choice([1, 4, 6]) for part in "ekl"}
        for _ in range(60)
    ]
    for row in rows:
        row |= {"val_top1": 60 + sum(row.values()), "latency_zcu102_mean": 1.0 + row["block0_e"]}
    rows[0]["latency_zcu102_mean"] = np.nan  # was not measured
    pd.DataFrame(rows).to_parquet(folder / "accel_nasbench.parquet")
    return folder


@pytest.mark.parametrize("name", FORMULAS)
def test_every_formula_gives_each_architecture_its_scores_again(name):
    first, second = PROBLEMS[name](), PROBLEMS[name]()
    assert first.accuracy.shape == first.latency_ms.shape == (first.space.size,)
    np.testing.assert_array_equal(first.accuracy, second.accuracy)
    assert 0.4 < first.feasible.mean() < 0.7
    assert first.hypervolume_share(np.flatnonzero(first.feasible)[:5]) < 1
    assert len(np.unique(first.latency_ms[first.feasible])) > 100


def test_numbers_are_those_of_the_space():
    space = space_of(2, 3, 2)
    expected = [space.positions(architecture) for architecture in space.enumerate()]
    np.testing.assert_array_equal(numbers_of(space), expected)


def test_what_lacks_both_needed_options_guesses():
    problem = problems.plateau()
    numbers = numbers_of(problem.space)
    lacking = ~np.isin(numbers, (1, 2)).any(axis=1)
    assert 0.03 < lacking.mean() < 0.1
    assert len(np.unique(problem.accuracy[lacking])) == 1
    assert problem.accuracy[lacking].max() < problem.accuracy[~lacking].min()


def test_a_cell_without_a_path_guesses_and_what_is_on_no_path_changes_nothing():
    problem = problems.cells()
    assert problem.accuracy.min() == 10
    numbers = numbers_of(problem.space)
    cut = (numbers[:, [3, 4, 5]] == 0).all(axis=1)  # nothing enters the last node
    assert (problem.accuracy[cut] == 10).all()


def noisy():
    seen, true = np.array([1.0, 4, 3, 0, 9, 9, 9]), np.array([1.0, 2, 3, 0, 9, 9, 9])
    latency_ms = np.array([1.0, 1.5, 1.5, 2, 9, 9, 9])
    return Problem("made up", space_of(7), seen, latency_ms, true)


def test_a_search_is_judged_by_the_truth_of_what_it_takes_for_the_best():
    problem = noisy()
    assert problem.bound == 2
    assert problem.best == 3  # the third; a search takes the second for better
    assert problem.best_accuracy([0, 1, 2]) == 2
    assert problem.best_accuracy([0, 2]) == 3
    assert problem.hypervolume_share([0, 1, 2]) == problem.hypervolume_share([0, 1]) < 1
    assert problem.hypervolume_share([0, 2]) == 1


def test_a_search_hears_what_it_sees_and_not_the_truth():
    problem = noisy()
    trial = problem.trial(problem.space.at(1), 7)
    assert (trial.number, trial.state) == (7, "complete")
    assert trial.metrics == {"accuracy": 4.0, "latency_ms": 1.5}
    rejected = problem.trial(problem.space.at(4), 8)
    assert rejected.state == "infeasible"
    assert rejected.violations == {"latency_ms <= 2.000": 3.5}


def test_the_table_of_three_seeds_is_put_in_the_order_of_the_space(tables):
    problem = problems.macro(tables)
    sums = numbers_of(problem.space).sum(axis=1)
    np.testing.assert_array_equal(problem.accuracy, 90 + sums)
    np.testing.assert_array_equal(problem.worth, 89.5 + sums)
    np.testing.assert_array_equal(problem.latency_ms, 1e6 * (1 + sums))


def test_the_pool_has_what_was_measured_once(tables):
    problem = problems.accel(tables)
    rows = pd.read_parquet(tables / "accel_nasbench.parquet").iloc[1:]
    distinct = rows.drop_duplicates([name for name in rows if name.startswith("block")])
    assert problem.space.size == len(distinct) < 60
    np.testing.assert_array_equal(problem.accuracy, distinct["val_top1"])
    assert [len(options) for options in problem.space.options] == [2, 2, 2, 3, 3, 3]


@pytest.fixture
def pool():
    """30 of 243."""
    whole = space_of(3, 3, 3, 3, 3)
    chosen = np.random.default_rng(0).permutation(243)[:30]
    return Pool.of(whole, numbers_of(whole)[chosen])


def test_a_pool_numbers_and_draws_its_members_alone(pool):
    members = list(pool.enumerate())
    assert len(set(members)) == pool.size == 30
    assert [pool.index(member) for member in members] == list(range(30))
    assert [pool.at(number) for number in range(30)] == members
    outside = [a for a in space_of(3, 3, 3, 3, 3).enumerate() if a not in set(members)]
    assert not any(architecture in pool for architecture in outside)
    rng = np.random.default_rng(0)
    assert {pool.sample(rng) for _ in range(500)} == set(members)
    mixed = [pool.crossover(members[0], members[1], rng) for _ in range(20)]
    moved = [pool.mutate(architecture, rng) for architecture in (*members, *outside)]
    assert all(architecture in pool for architecture in (*mixed, *moved, pool.plain))


def test_the_neighbours_in_a_pool_are_the_nearest_members(pool):
    members = list(pool.enumerate())
    around = pool.neighbours(members[3])
    assert len(around) == pool.encoded_size - 5 == 10
    assert members[3] not in around
    distances = [pool.distance(members[3], member) for member in around]
    assert distances == sorted(distances)
    others = [m for m in members if m not in around and m != members[3]]
    assert min(pool.distance(members[3], member) for member in others) >= distances[-1]


@pytest.mark.parametrize("name", PROPOSING)
def test_every_strategy_searches_a_pool(pool, name):
    scores = np.random.default_rng(1).random((2, 30))
    problem = Problem("made up", pool, scores[0], scores[1])
    strategy = make_strategy(name, space=pool, objectives=OBJECTIVES, epochs=1, seed=0)
    trained, _ = search(problem, strategy, 10)
    assert len(set(trained)) == 10
    assert problem.feasible[trained].all()
