import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnas.evaluator.recipe import Recipe, half_epochs, one_cycle
from attnas.search_space import InputError

settings = {"steps": st.integers(1, 200), "warmup": st.floats(0, 0.99)}


@given(**settings)
def test_the_rate_rises_to_its_peak_at_the_end_of_the_warm_up_and_falls(steps, warmup):
    shares = [one_cycle(step, steps, warmup) for step in range(steps)]
    assert all(0 < share <= 1 for share in shares)
    peak = shares.index(max(shares))
    assert abs(peak + 0.5 - warmup * steps) <= 1
    assert shares[: peak + 1] == sorted(shares[: peak + 1])
    assert shares[peak:] == sorted(shares[peak:], reverse=True)


@given(**settings)
def test_the_mean_rate_is_half_of_the_peak(steps, warmup):
    mean = sum(one_cycle(step, steps, warmup) for step in range(steps)) / steps
    assert mean == pytest.approx(0.5, abs=0.5 / steps)


@pytest.mark.parametrize(
    ("setting", "value", "needed"),
    [
        ("epochs", 0, "a whole number from 1"),
        ("epochs", 2.5, "a whole number from 1"),
        ("epochs", True, "a whole number from 1"),
        ("batch_size", 1, "a whole number from 2"),
        ("learning_rate", 0, "above 0"),
        ("learning_rate", math.nan, "above 0"),
        ("learning_rate", "0.1", "above 0"),
        ("momentum", 1, "between 0 and 1"),
        ("weight_decay", -1e-4, "0 or more"),
        ("label_smoothing", 1, "from 0 to below 1"),
        ("warmup", 1.0, "from 0 to below 1"),
        ("half_resolution", 1.5, "from 0 to 1"),
        ("augment", "flip", "one of auto, flip_crop, crop, none"),
        ("time_limit_s", 0, "above 0, or none"),
        ("time_limit_s", math.inf, "above 0, or none"),
        ("precision", "float16", "one of auto, float32, bfloat16"),
    ],
)
def test_a_setting_out_of_range_is_refused_with_its_key(setting, value, needed):
    with pytest.raises(InputError) as caught:
        Recipe(**{setting: value})
    assert str(caught.value) == f"training.{setting}: cannot be {value!r}; it must be {needed}."


@pytest.mark.parametrize(
    ("share", "epochs", "side", "small"),
    [
        (0.75, 8, 32, 6),
        (0.75, 6, 32, 4),
        (0.75, 1, 224, 0),
        (1, 4, 64, 4),
        (0, 8, 32, 0),
        (0.75, 8, 28, 0),
        (0.75, 8, 33, 0),
    ],
)
def test_the_first_epochs_see_halved_images_if_they_are_large_and_even(share, epochs, side, small):
    assert half_epochs(Recipe(half_resolution=share), epochs, side, side) == small
    assert half_epochs(Recipe(half_resolution=share), epochs, side, 8) == 0
