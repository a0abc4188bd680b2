import math

import pytest
import torch

from attnas.core import InputError
from attnas.evaluator.tasks.settings import (
    check_share,
    check_weights,
    class_weights,
    read_weights,
)


@pytest.mark.parametrize("value", [0, 0.1, 0.999])
def test_a_share_is_from_0_to_below_1(value):
    check_share(value, "label_smoothing")


@pytest.mark.parametrize("value", [-0.1, 1, 1.0, math.nan, True, "0.1", None])
def test_what_is_no_share_is_refused(value):
    with pytest.raises(InputError) as caught:
        check_share(value, "label_smoothing")
    assert str(caught.value) == (
        f"label_smoothing: cannot be {value!r}. Write a number from 0 to below 1."
    )


@pytest.mark.parametrize("given", [None, "balanced", [1, 2.5], (0.1,)])
def test_weights_are_balanced_or_a_list_of_numbers(given):
    read_weights(given)


@pytest.mark.parametrize(
    "given", ["balance", [], [1, 0], [1, -1], [1, True], [1, "2"], 3, [math.nan], [math.inf, 1]]
)
def test_what_are_no_weights_is_refused(given):
    with pytest.raises(InputError) as caught:
        read_weights(given)
    assert str(caught.value) == (
        f"class_weights: cannot be {given!r}. Write 'balanced', or a list of numbers above 0, one "
        "a class."
    )


def test_there_is_one_weight_for_each_class():
    classes = ("a", "b", "c")
    for given in (None, "balanced", [1, 2, 3]):
        check_weights(given, classes)
    with pytest.raises(InputError) as caught:
        check_weights([1, 2], classes)
    assert str(caught.value) == "task.class_weights: has 2 weights for the 3 classes of the data."


def test_balanced_weights_are_inverse_to_the_counts_and_their_mean_over_items_is_1():
    counts = torch.tensor([90, 9, 1])
    weights = class_weights("balanced", counts)
    torch.testing.assert_close(weights, torch.tensor([100 / 270, 100 / 27, 100 / 3]))
    assert (weights * counts).sum().item() == pytest.approx(100)


def test_a_class_without_an_item_has_a_finite_weight():
    assert class_weights("balanced", torch.tensor([5, 0])).isfinite().all()


def test_weights_that_are_given_are_taken_as_they_are():
    assert class_weights(None, torch.tensor([1, 2])) is None
    assert class_weights([1, 0.25], torch.tensor([1, 2])).tolist() == [1, 0.25]
