from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from attnas.search_space import AttnasError
from attnas.strategies.supernet_training import MeanGradients, sandwich


def test_the_ends_of_a_sandwich_are_the_widest_and_narrowest_of_the_drawn_blocks(sharing):
    space = sharing.tiny_space()
    narrower = {"se:r2@residual": "se:r4@residual"}  # in layer1 both are as wide: one choice
    for number in range(50):
        first, second, *others = sandwich(space, 4, np.random.default_rng(number))
        ends = [
            narrower.get(str(choice), str(choice)) if stage != "layer1" else str(choice)
            for stage, choice in first.by_stage.items()
        ]
        if ends != [str(choice) for choice in first.choices]:
            assert [str(choice) for choice in second.choices] == ends
        assert "se:r4@residual" not in map(str, first.choices)
        assert len(others) == 2
        assert all(a in space for a in (first, second, *others))


def test_each_block_is_drawn_alike_for_the_ends_whatever_its_ratios(sharing):
    """None, ECA and SE with two ratios: a third each, where a uniform draw gives SE more."""
    rng = np.random.default_rng(0)
    drawn = Counter(
        choice.block
        for _ in range(1000)
        for choice in sandwich(sharing.tiny_space(), 2, rng)[0].choices
    )
    for block in ("none", "eca", "se"):
        assert drawn[block] / 3000 == pytest.approx(1 / 3, abs=0.03)


def test_ends_that_are_one_path_make_room_for_another_draw(sharing):
    space = sharing.tiny_space(blocks=("none", "eca"))
    for number in range(20):
        assert len(sandwich(space, 3, np.random.default_rng(number))) == 3


def test_one_path_is_uniform(sharing):
    space = sharing.tiny_space()
    rng = np.random.default_rng(0)
    drawn = Counter(space.index(sandwich(space, 1, rng)[0]) for _ in range(2400))
    expected = 2400 / space.size
    chi_square = sum((drawn[i] - expected) ** 2 / expected for i in range(space.size))
    assert chi_square < 73  # 47 degrees of freedom: exceeded once in 100 by chance


def test_gradients_are_means_over_the_paths_that_use_a_parameter():
    """y = a b x and y = a c x: a is used by both, b and c by one each."""
    net = nn.ParameterDict({"a": torch.tensor(2.0), "b": torch.tensor(3.0), "c": torch.tensor(5.0)})
    means = MeanGradients(net)
    (net["a"] * net["b"]).backward()  # da = 3, db = 2
    (net["a"] * net["c"]).backward()  # da = 5, dc = 2
    means.take()
    assert [float(net[name].grad) for name in "abc"] == [4, 2, 2]
    net.zero_grad()
    (net["a"] * net["b"]).backward()
    means.take()
    assert [float(net[name].grad) for name in "ab"] == [3, 2]  # the count began anew
    means.remove()
    net.zero_grad()
    (net["a"] * net["b"] + net["a"] * net["c"]).backward()
    means.take()
    assert float(net["a"].grad) == 8


def test_a_loss_that_is_no_number_ends_it_with_epoch_and_remedy(sharing, tmp_path):
    recipe = replace(sharing.RECIPE, learning_rate=1e30)
    given, _ = sharing.resources(tmp_path, recipe=recipe)
    with pytest.raises(AttnasError) as caught:
        sharing.make("oneshot", supernet_epochs=2, population=2, generations=1).prepare(given)
    assert str(caught.value) == (
        "the supernet's training diverged in epoch 1: its loss is nan. Lower "
        "training.learning_rate; the epochs before are kept only under the same settings."
    )
