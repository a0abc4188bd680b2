"""The embedded canvases of digits among pieces of others."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from attnas.core import InputError
from attnas.evaluator import load_data, make_task
from attnas.evaluator.data.cluttered_digits import cluttered_digits


def test_canvases_are_the_same_for_a_seed_and_others_for_another():
    one, again, other = (cluttered_digits(20, seed=seed) for seed in (0, 0, 1))
    for part, pool in one.parts().items():
        assert torch.equal(pool.inputs, again.parts()[part].inputs)
        assert not torch.equal(pool.inputs, other.parts()[part].inputs)
    assert (one.train.inputs.shape, one.train.inputs.dtype) == ((20, 1, 20, 20), torch.uint8)
    assert [len(pool) for pool in one.parts().values()] == [20, 10, 10]


def test_each_canvas_holds_a_whole_digit_of_its_label():
    bunch = load_digits()
    drawn = (255 * bunch.images / 16).round().astype(np.uint8)
    pools = cluttered_digits(30, size=14, noise=0.0)
    found = {part: set() for part in pools.parts()}
    for part, pool in pools.parts().items():
        for canvas, label in zip(pool.inputs[:, 0].numpy(), pool.targets.numpy(), strict=True):
            windows = np.lib.stride_tricks.sliding_window_view(canvas, (8, 8)).reshape(-1, 1, 64)
            which = np.flatnonzero((windows == drawn.reshape(1, -1, 64)).all(2).any(0))
            assert label in bunch.target[which]
            found[part] |= set(which)
    assert not found["train"] & found["validation"]
    assert not (found["train"] | found["validation"]) & found["test"]


def test_pieces_lie_beside_the_digit():
    """Without any, a canvas has no more ink than the digit; with twelve, much more."""
    bare, cluttered = (cluttered_digits(200, pieces=count, noise=0.0) for count in (0, 12))
    ink = [pools.train.inputs.double().mean().item() for pools in (bare, cluttered)]
    assert ink[1] > 2 * ink[0]
    assert ((bare.train.inputs > 0).flatten(1).sum(1) <= 64).all()


@pytest.mark.parametrize(
    ("option", "value", "needed"),
    [
        ("items", 9, "a whole number from 10 up"),
        ("size", 7, "a whole number from 8 to 256"),
        ("size", 300, "a whole number from 8 to 256"),
        ("pieces", -1, "a whole number from 0 to 1000"),
        ("pieces", True, "a whole number from 0 to 1000"),
        ("noise", "much", "a number from 0 to 10"),
    ],
)
def test_options_out_of_range_are_refused(option, value, needed):
    with pytest.raises(InputError) as caught:
        cluttered_digits(**{option: value})
    assert (caught.value.key, caught.value.problem) == (
        f"data.{option}", f"cannot be {value!r}. Write {needed}.",
    )  # fmt: skip


def test_they_are_loaded_like_other_data():
    data = load_data("cluttered_digits", make_task("classification", {}), items=40)
    assert data.input_shape == (1, 20, 20)
    assert (len(data.train), len(data.validation), len(data.test)) == (40, 20, 20)
