import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from attnas.core import InputError, validated
from attnas.evaluator.recipe import Recipe, half_epochs, one_cycle

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
        ("epochs", 0, "at least 1"),
        ("epochs", 2.5, "a whole number"),
        ("epochs", True, "a number"),
        ("batch_size", 1, "at least 2"),
        ("learning_rate", 0, "above 0"),
        ("learning_rate", math.nan, "a finite number"),
        ("learning_rate", "fast", "a number"),
        ("momentum", 0, "above 0"),
        ("momentum", 1, "below 1"),
        ("weight_decay", -1e-4, "at least 0"),
        ("warmup", 1.0, "below 1"),
        ("warmup", False, "a number"),
        ("half_resolution", 1.5, "at most 1"),
        ("augment", "flip", "'auto', 'flip_crop', 'crop', 'randaugment' or 'none'"),
        ("optimizer", "adam", "'sgd' or 'adamw'"),
        ("ema", 1, "below 1"),
        ("views", 3, "at most 2"),
        ("freeze", "stem", "a list"),
        ("time_limit_s", 0, "above 0"),
        ("time_limit_s", math.inf, "a finite number"),
        ("precision", "float16", "'auto', 'float32' or 'bfloat16'"),
    ],
)
def test_a_setting_out_of_range_is_refused_with_its_key(setting, value, needed):
    with pytest.raises(InputError) as caught:
        validated(Recipe, {setting: value}, key="training")
    assert str(caught.value) == f"training.{setting}: must be {needed}, not {value!r}."


def test_a_setting_that_there_is_not_is_refused_and_none_can_be_changed():
    with pytest.raises(InputError) as caught:
        validated(Recipe, {"epoch": 3}, key="training")
    assert str(caught.value) == "training.epoch: unknown key 'epoch'. Did you mean 'epochs'?"
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().epochs = 3


@pytest.mark.parametrize("scale", [0, -1, "fast", math.inf])
def test_a_scale_of_the_learning_rate_is_a_number_above_0(scale):
    with pytest.raises(InputError) as caught:
        validated(Recipe, {"learning_rate_scale": {"new": scale}}, key="training")
    assert caught.value.key == "training.learning_rate_scale.new"


def test_a_truth_value_is_no_scale():
    with pytest.raises(InputError, match="the scale of 'new' must be a number, not True"):
        validated(Recipe, {"learning_rate_scale": {"new": True}})


OLD = {  # as runs recorded it before there were other optimizers
    "epochs": 6,
    "batch_size": 64,
    "learning_rate": 0.03,
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "warmup": 0.2,
    "half_resolution": 0.75,
    "augment": "auto",
    "precision": "auto",
}


def test_what_is_as_before_is_recorded_as_before():
    assert Recipe().model_dump(exclude_none=True) == OLD
    assert validated(Recipe, OLD) == Recipe()


def test_what_is_recorded_is_read_as_the_same_recipe():
    recipe = Recipe(
        optimizer="adamw", freeze=["stem"], learning_rate_scale={"new": 10}, ema=0.99, views=2
    )
    recorded = recipe.model_dump(mode="json")
    assert recorded["learning_rate"] == 1e-3
    assert validated(Recipe, recorded) == recipe


def test_numbers_that_yaml_reads_as_text_are_numbers():
    recipe = validated(Recipe, yaml.safe_load("{weight_decay: 5e-4, learning_rate: 1}"))
    assert (recipe.weight_decay, recipe.learning_rate) == (0.0005, 1.0)
    assert recipe == Recipe(learning_rate=1.0)


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
    assert half_epochs(Recipe(half_resolution=share), epochs, (3, side, side)) == small
    assert half_epochs(Recipe(half_resolution=share), epochs, (3, side, 8)) == 0
    assert half_epochs(Recipe(half_resolution=share), epochs, (3, 8, side)) == 0


@pytest.mark.parametrize("shape", [(64,), (12, 64), (3, 64, 64, 64)])
def test_only_images_are_halved(shape):
    assert half_epochs(Recipe(half_resolution=1), 4, shape) == 0
