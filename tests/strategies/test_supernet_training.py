from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from attnas.core import AttnasError
from attnas.search_space import AttentionOption, Supernet
from attnas.strategies import supernet_training
from attnas.strategies.supernet_training import MeanGradients, sandwich


def test_the_ends_of_a_sandwich_are_the_widest_and_narrowest_of_the_drawn_blocks(sharing):
    space = sharing.tiny_space()
    narrower = {"se:r2@residual": "se:r4@residual"}  # in layer1 both are as wide: one option
    for number in range(50):
        first, second, *others = sandwich(space, 4, np.random.default_rng(number))
        ends = [
            narrower.get(option, option) if stage != "layer1" else option
            for stage, option in first.by_name.items()
        ]
        if ends != list(first.options):
            assert list(second.options) == ends
        assert "se:r4@residual" not in first.options
        assert len(others) == 2
        assert all(a in space for a in (first, second, *others))


def test_each_block_is_drawn_alike_for_the_ends_whatever_its_ratios(sharing):
    """None, ECA and SE with two ratios: a third each, where a uniform draw gives SE more."""
    rng = np.random.default_rng(0)
    drawn = Counter(
        AttentionOption.parse(option).block
        for _ in range(1000)
        for option in sandwich(sharing.tiny_space(), 2, rng)[0].options
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


def test_what_one_path_uses_of_a_sliced_parameter_is_its_own_mean():
    """A narrow path takes half of a wide one's units: only these have gradients of both."""
    net = nn.ParameterDict({"a": torch.arange(4.0), "b": torch.zeros(2, 2)})
    means = MeanGradients(net)
    means.path({net["a"]: (2,), net["b"]: (2, 1)})
    (2 * net["a"][:2].sum() + 6 * net["b"][:, :1].sum()).backward()
    means.path({})
    (4 * net["a"].sum() + 2 * net["b"].sum()).backward()
    means.take()
    assert net["a"].grad.tolist() == [3, 3, 4, 4]
    assert net["b"].grad.tolist() == [[4, 2], [4, 2]]


def test_a_step_s_units_of_the_widest_ratio_alone_are_not_slowed_by_the_narrow_path(
    sharing, monkeypatch
):
    """Gradients of the first step, against those of its two paths taken one by one."""
    net = Supernet(sharing.tiny_space(), seed=0)
    paths = [net.space.architecture(["none", "none", f"se:r{ratio}@residual"]) for ratio in (2, 4)]
    recipe = sharing.RECIPE.model_copy(update={"precision": "float32"})
    training = sharing.shared_training(net.space, recipe=recipe)
    [block] = [m for m in net.shared if getattr(m, "reduce", None) and m.reduce.in_features == 32]
    weight, stem = block.expand.weight, next(net.network.parameters())
    torch.nn.init.normal_(weight)
    inputs, labels = next(training.epoch("weights", 0, 0))
    net.train()
    alone = []
    for path in paths:
        net.select(path)
        loss = torch.nn.functional.cross_entropy(net(inputs), labels)
        alone.append(torch.autograd.grad(loss, [weight, stem]))
    seen = []
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    optimizer.register_step_pre_hook(
        lambda *_: seen.append([weight.grad.clone(), stem.grad.clone()])
    )
    search = SimpleNamespace(space=net.space, seed=0, training=training)
    monkeypatch.setattr(supernet_training, "sandwich", lambda *_: paths)
    supernet_training._train_epoch(search, net, optimizer, MeanGradients(net), 0, 1, 2)
    (wide, wide_stem), (narrow, narrow_stem) = alone
    torch.testing.assert_close(seen[0][0][:, :8], (wide + narrow)[:, :8] / 2)
    torch.testing.assert_close(seen[0][0][:, 8:], wide[:, 8:])
    torch.testing.assert_close(seen[0][1], (wide_stem + narrow_stem) / 2)


def test_the_supernet_is_trained_and_scored_in_the_recipe_s_precision(sharing, tmp_path):
    types = []
    listening = nn.modules.module.register_module_forward_hook(
        lambda module, _, y: types.append(y.dtype) if isinstance(module, Supernet) else None
    )
    recipe = sharing.RECIPE.model_copy(update={"precision": "bfloat16"})
    try:
        for name, small in (
            ("oneshot", {"paths": 2, "population": 2, "generations": 1}),
            ("darts", {"candidates": 1}),
        ):
            folder, few = tmp_path / name, sharing.digits(40)
            given, _ = sharing.resources(folder, recipe=recipe, data=few)
            wanted = {"latency_ms": [2.0]}
            sharing.make(name, check=0, targets=wanted, **small).prepare(given)
    finally:
        listening.remove()
    assert set(types) == {torch.bfloat16}


def test_a_loss_that_is_no_number_ends_it_with_epoch_and_remedy(sharing, tmp_path):
    recipe = sharing.RECIPE.model_copy(update={"learning_rate": 1e30})
    given, _ = sharing.resources(tmp_path, recipe=recipe)
    with pytest.raises(AttnasError) as caught:
        sharing.make("oneshot", supernet_epochs=2, population=2, generations=1).prepare(given)
    assert str(caught.value) == (
        "the supernet's training diverged in epoch 1: its loss is nan. Lower "
        "training.learning_rate; the epochs before are kept only under the same settings."
    )
