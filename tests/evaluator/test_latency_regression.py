"""The regression against refits and against the same problem solved in another way."""

import numpy as np
import pytest

from attnas.evaluator.latency_regression import (
    _PENALTIES,
    _fit,
    _shared,
    cross_validated,
    fit,
)
from attnas.search_space import Backbone, SearchSpace

BACKBONE = Backbone("resnet_cifar", (("depth", 8), ("width", 16)), (3, 8, 8), (4,))
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


def solved(rows, target, penalty):
    """Ridge as least squares on rows that pull each part, but not the base, to zero."""
    width = rows.shape[1]
    pulls = np.column_stack([np.zeros(width), np.sqrt(penalty) * np.eye(width)])
    whole = np.vstack([np.column_stack([np.ones(len(rows)), rows]), pulls])
    solution, *_ = np.linalg.lstsq(whole, np.append(target, np.zeros(width)))
    return solution[0], solution[1:]


def problem(seed, networks=9, parts=7):
    """Design, what entries share, and a target that they partly explain."""
    rng = np.random.default_rng(seed)
    design, shared = rng.normal(size=(networks, 5)), rng.normal(size=(5, parts))
    target = design @ shared @ rng.normal(size=parts) + rng.normal(size=networks)
    return design, shared, target


@pytest.mark.parametrize("seed", range(4))
def test_the_fit_minimises_squares_plus_penalty_with_a_free_base(seed):
    design, shared, target = problem(seed)
    found = _fit(design, shared, target)
    base, parts = solved(design @ shared, target, found.penalty)
    assert found.base == pytest.approx(base)
    np.testing.assert_allclose(found.entries, shared @ parts, atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_the_penalty_has_the_least_error_of_refits_without_each_network(seed):
    design, shared, target = problem(seed, networks=12, parts=4)
    rows, errors = design @ shared, []
    for penalty in _PENALTIES:
        missed = 0.0
        for left_out in range(len(target)):
            kept = np.arange(len(target)) != left_out
            base, parts = solved(rows[kept], target[kept], penalty)
            missed += (target[left_out] - base - rows[left_out] @ parts) ** 2
        errors.append(missed)
    assert _fit(design, shared, target).penalty == pytest.approx(_PENALTIES[np.argmin(errors)])


def test_the_standard_errors_are_those_of_the_posterior():
    """Prior variance noise / penalty of each part, a flat prior of the base."""
    design, shared, target = problem(0, networks=14, parts=4)
    found = _fit(design, shared, target)
    rows = np.column_stack([np.ones(14), design @ shared])
    covariance = np.linalg.inv(rows.T @ rows + found.penalty * np.diag([0, 1, 1, 1, 1]))
    left = target - found.base - design @ found.entries
    noise = left @ left / (14 - np.trace(rows @ covariance @ rows.T))
    expected = np.sqrt(noise * np.diag(shared @ covariance[1:, 1:] @ shared.T))
    np.testing.assert_allclose(found.standard_errors, expected, rtol=1e-9)


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
    ratios = np.array([1 + sum(cost[option] for option in a.options) for a in seen])
    entries = fit(SPACE, seen, ratios).entries

    def entry(stage, text):
        return by_option(SPACE, entries)[stage, text]

    assert entry("layer1", "none") == entry("layer3", "none") == 0
    assert entry("layer1", expensive) == pytest.approx(0.5, abs=0.05)
    # another placement, and the stage in which nothing was ever seen
    assert entry("layer2", "se:r2@post") > 0.25 > entry("layer2", "eca@post")
    assert entry("layer3", expensive) > entry("layer3", cheap)


def by_option(space, entries):
    """The entries by the decision's name and the option."""
    keys = [(n, o) for n, opts in zip(space.names, space.options, strict=True) for o in opts]
    return dict(zip(keys, entries, strict=True))


def test_what_entries_share_has_a_part_for_each_likeness():
    shared = _shared(SPACE)
    assert shared.shape[0] == SPACE.encoded_size
    assert not shared[0].any()  # none
    assert np.linalg.matrix_rank(shared) == SPACE.encoded_size - 3  # all but the three `none`


DEEPER = Backbone("resnet_cifar", (("depth", 20), ("width", 16)), (3, 8, 8), (4,))
WIDE = SearchSpace.create(
    DEEPER,
    blocks=["none", "se"],
    ratios=[4],
    placements=["post"],
    arguments={"width": [8, 16, 24, 32]},
    depth=[1, 2, 3],
)


def true_ratio(architecture):
    """Grows with the width, falls with each unit that is skipped, and with SE."""
    by_name = architecture.by_name
    ratio = 1 + 0.6 * (int(by_name["width"]) / 16 - 1)
    for stage in ("layer1", "layer2", "layer3"):
        ratio -= 0.05 * (3 - int(by_name[f"{stage}.depth"]))
        ratio += 0.02 * (by_name[stage] != "none")
    return ratio


def test_width_and_depth_are_decisions_like_attention():
    rng = np.random.default_rng(0)
    numbers = rng.permutation(WIDE.size)
    seen = [WIDE.at(int(i)) for i in numbers[:60]]
    ratios = np.array([true_ratio(a) for a in seen]) * rng.normal(1, 0.003, 60)
    fitted = fit(WIDE, seen, ratios)
    unseen = [WIDE.at(int(i)) for i in numbers[60:120]]
    truth = np.array([true_ratio(a) for a in unseen])
    predicted = np.array([fitted.base + fitted.entries @ WIDE.encode(a) for a in unseen])
    assert np.abs(predicted / truth - 1).mean() < 0.01
    entry = by_option(WIDE, fitted.entries)
    assert entry["width", "16"] == entry["layer1.depth", "3"] == entry["layer2", "none"] == 0
    assert entry["width", "32"] == pytest.approx(0.6, abs=0.05)
    assert entry["width", "8"] == pytest.approx(-0.3, abs=0.05)
    assert entry["layer1.depth", "1"] == pytest.approx(2 * entry["layer1.depth", "2"])
    held_out = cross_validated(WIDE, seen, ratios)
    assert np.abs(held_out / ratios - 1).mean() < 0.02


def test_a_width_that_was_never_seen_is_between_its_neighbours():
    seen = [a for a in map(WIDE.at, range(WIDE.size)) if a.by_name["width"] != "24"][::7]
    entries = fit(WIDE, seen, np.array([true_ratio(a) for a in seen])).entries
    entry = by_option(WIDE, entries)
    assert entry["width", "16"] < entry["width", "24"] < entry["width", "32"]
    assert entry["width", "24"] == pytest.approx(0.3, abs=0.1)


def test_numbers_share_what_grows_with_them_and_all_parts_of_a_kind_are_alike_in_size():
    shared = _shared(WIDE)
    assert shared.shape[0] == WIDE.encoded_size
    names = list(by_option(WIDE, shared))
    widths = shared[[i for i, (name, _) in enumerate(names) if name == "width"]]
    [together] = [column for column in widths.T if np.count_nonzero(column) == 3]
    # -0.5, 0, 0.5 and 1 of the plain width, over their mean size of 2/3
    np.testing.assert_allclose(together, [-0.75, 0, 0.75, 1.5])
    depths = shared[[i for i, (name, _) in enumerate(names) if name == "layer2.depth"]]
    assert [row[row != 0].tolist() for row in depths] == [
        [pytest.approx(4 / 3)],
        [pytest.approx(2 / 3)],
        [],
    ]


def test_arguments_that_are_no_numbers_share_nothing():
    space = SearchSpace.create(
        BACKBONE, blocks=["none"], ratios=[], placements=["post"], arguments={"width": [16, 32]}
    )
    [decision] = [d for d in space.decisions if d.name == "width"]
    assert decision.parts("16", BACKBONE) == {}
    assert decision.parts("32", BACKBONE) == {("argument", "width"): 1.0, ("own", "width", "32"): 1}
    assert decision.parts("relu", BACKBONE) == {("own", "width", "relu"): 1.0}
