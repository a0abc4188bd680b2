"""The regression against refits and against the same problem solved in another way."""

import numpy as np
import pytest

from attnas.evaluator.latency_regression import (
    _leave_one_out,
    _shared,
    _solve,
    cross_validated,
    fit,
)
from attnas.search_space import Backbone, SearchSpace

BACKBONE = Backbone("resnet_cifar", (("depth", 8), ("width", 16)), (3, 8, 8), 4)
SPACE = SearchSpace.create(
    BACKBONE, blocks=["none", "se", "eca"], ratios=[2, 4], placements=["residual", "post"]
)


@pytest.fixture(scope="module")
def sample():
    """Networks with noisy ratios."""
    rng = np.random.default_rng(3)
    architectures = [SPACE.at(int(i)) for i in rng.choice(SPACE.size, 24, replace=False)]
    effects = rng.uniform(0, 0.3, SPACE.encoded_size)
    exact = np.array([1 + effects @ SPACE.encode(a) for a in architectures])
    return architectures, exact * rng.normal(1, 0.02, len(exact))


def test_the_fit_minimises_squares_plus_penalty_with_a_free_base():
    rng = np.random.default_rng(0)
    design, shared, target = rng.normal(size=(9, 5)), rng.normal(size=(5, 7)), rng.normal(size=9)
    penalty = 0.7
    rows = np.column_stack([np.ones(9), design @ shared])
    # ridge as least squares on rows that pull each part, but not the base, to zero
    pulls = np.sqrt(penalty) * np.eye(8)[1:]
    wanted, *_ = np.linalg.lstsq(np.vstack([rows, pulls]), np.append(target, np.zeros(7)))
    found = _solve(design, shared, target, penalty)
    assert found.base == pytest.approx(wanted[0])
    np.testing.assert_allclose(found.entries, shared @ wanted[1:], atol=1e-9)


def test_the_leave_one_out_error_is_that_of_refits():
    rng = np.random.default_rng(1)
    rows, target = rng.normal(size=(8, 3)), rng.normal(size=8)
    errors = []
    for left_out in range(8):
        kept = np.arange(8) != left_out
        found = _solve(rows[kept], np.eye(3), target[kept], 0.3)
        errors.append(target[left_out] - found.base - found.entries @ rows[left_out])
    assert _leave_one_out(rows, target, 0.3) == pytest.approx(np.square(errors).sum())


def test_each_prediction_is_that_of_a_fit_without_the_network(sample):
    architectures, ratios = sample
    predicted = cross_validated(SPACE, architectures, ratios)
    outside = [i for i in range(24) if i % 10 != 3]
    fitted = fit(SPACE, [architectures[i] for i in outside], ratios[outside])
    for i in (3, 13, 23):
        wanted = fitted.base + fitted.entries @ SPACE.encode(architectures[i])
        assert predicted[i] == pytest.approx(wanted, abs=1e-12)


def test_the_standard_errors_shrink_with_more_networks(sample):
    architectures, ratios = sample
    few = fit(SPACE, architectures[:10], ratios[:10]).standard_errors
    more = fit(SPACE, architectures * 4, np.tile(ratios, 4)).standard_errors
    assert more.mean() < few.mean()


def test_none_costs_nothing_and_what_was_never_seen_is_near_its_likes():
    expensive, cheap = "se:r2@residual", "eca@residual"
    seen = [
        SPACE.architecture([a, b, "none"])
        for a in ("none", expensive, cheap)
        for b in ("none", expensive, cheap)
    ]
    cost = {"none": 0.0, expensive: 0.5, cheap: 0.1}
    ratios = np.array([1 + sum(cost[str(c)] for c in a.choices) for a in seen])
    entries = fit(SPACE, seen, ratios).entries
    by_stage = np.split(entries, np.cumsum([len(o) for o in SPACE.allowed])[:-1])

    def entry(stage, text):
        return by_stage[stage][[str(c) for c in SPACE.allowed[stage]].index(text)]

    assert entry(0, "none") == entry(2, "none") == 0
    assert entry(0, expensive) == pytest.approx(0.5, abs=0.05)
    # another placement, and the stage in which nothing was ever seen
    assert entry(1, "se:r2@post") > 0.25 > entry(1, "eca@post")
    assert entry(2, expensive) > entry(2, cheap)


def test_what_entries_share_has_a_part_for_each_likeness():
    shared = _shared(SPACE)
    assert shared.shape[0] == SPACE.encoded_size
    assert not shared[0].any()  # none
    assert np.linalg.matrix_rank(shared) == SPACE.encoded_size - 3  # all but the three `none`
