import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnas.core import AdditiveCost

numbers = st.integers(-50, 50).map(float)
costs = st.builds(
    AdditiveCost,
    st.just("params"),
    numbers,
    st.lists(st.lists(numbers, min_size=1, max_size=3).map(tuple), max_size=4).map(tuple),
)


@given(costs)
def test_the_span_holds_every_cost_of_the_space_and_reaches_its_ends(cost):
    every = [cost.at(at) for at in product(*(range(len(options)) for options in cost.costs))]
    assert cost.span == (min(every), max(every))


def test_a_cost_is_the_base_and_what_each_option_adds():
    cost = AdditiveCost("flops", 100.0, ((0.0, 5.0), (0.0, 7.0, 9.0)))
    assert cost.at([0, 0]) == 100
    assert cost.at([1, 2]) == 114
    assert math.isclose(cost.at((0, 1)), 107)


def test_an_option_that_the_space_lacks_has_no_cost():
    cost = AdditiveCost("flops", 100.0, ((0.0, 5.0), (0.0, 7.0)))
    with pytest.raises(ValueError, match=r"^\[1, None\]: an option is not in the search space$"):
        cost.at([1, None])


@pytest.mark.parametrize("positions", [[0], [0, 0, 0]])
def test_there_must_be_one_option_a_decision(positions):
    with pytest.raises(ValueError, match="zip"):
        AdditiveCost("flops", 100.0, ((0.0, 5.0), (0.0, 7.0))).at(positions)
