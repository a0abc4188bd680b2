"""What every registered block must satisfy; a new block is tested here by being registered."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attnas.search_space import BLOCKS, block

NAMES = sorted(BLOCKS)
STARTS = pytest.mark.parametrize("identity_start", [False, True], ids=["papers", "identity"])
EVERY = pytest.mark.parametrize("name", NAMES)
SIZES = [(8, 8), (5, 3), (1, 6), (2, 1), (1, 1)]


def ratio_of(name):
    """The middle ratio that a block knows, or None."""
    known = block(name).ratios
    return known[len(known) // 2] if known else None


def build(name, channels=16, *, identity_start=False):
    torch.manual_seed(0)
    return block(name).make(channels, ratio_of(name), identity_start=identity_start)


def legal_sizes(name, channels=16):
    return [size for size in SIZES if block(name).legal(channels, *size, ratio_of(name))]


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def gradients(module, x):
    """Of a random linear function of the output, for x and each parameter by name."""
    x = x.clone().requires_grad_()
    module.zero_grad()
    (module(x) * draw(*x.shape, seed=1, dtype=x.dtype)).sum().backward()
    return {"x": x.grad, **{name: p.grad for name, p in module.named_parameters()}}


@STARTS
@EVERY
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_shape_and_dtype_are_kept_and_all_is_finite(name, identity_start, batch, training):
    module = build(name, identity_start=identity_start).train(training)
    for size in legal_sizes(name):
        x = draw(batch, 16, *size)
        y = module(x)
        assert (y.shape, y.dtype) == (x.shape, x.dtype), size
        assert y.isfinite().all(), size


@EVERY
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_other_precisions_are_kept(name, dtype):
    y = build(name, identity_start=True).to(dtype)(draw(2, 16, 5, 3).to(dtype))
    assert y.dtype == dtype
    assert y.isfinite().all()


@STARTS
@EVERY
def test_mixed_precision_stays_near_to_full(name, identity_start):
    module, x = build(name, identity_start=identity_start).eval(), draw(2, 16, 5, 3)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = module(x)
    torch.testing.assert_close(mixed.float(), module(x), rtol=0.05, atol=0.05)


@STARTS
@EVERY
def test_parameters_in_closed_form_are_those_counted(name, identity_start):
    found = block(name)
    for channels in (8, 16, 24, 32, 64, 96, 128, 256):
        for ratio in found.ratios or (None,):
            module = found.make(channels, ratio, identity_start=identity_start)
            counted = sum(parameter.numel() for parameter in module.parameters())
            closed = found.params(channels, 8, 8, ratio, identity_start=identity_start)
            assert closed == counted, (channels, ratio)


@settings(max_examples=60)
@given(st.sampled_from(NAMES), st.integers(1, 96), st.data())
def test_widths_are_equal_where_the_modules_are(name, channels, data):
    found = block(name)
    pair = [data.draw(st.sampled_from(found.ratios)) if found.ratios else None for _ in range(2)]
    shapes = [
        [v.shape for v in found.make(channels, ratio, identity_start=False).state_dict().values()]
        for ratio in pair
    ]
    widths = [found.widths(channels, ratio) for ratio in pair]
    assert (widths[0] == widths[1]) == (shapes[0] == shapes[1])


@EVERY
def test_a_gate_scales_each_value_by_a_bounded_positive_factor(name):
    if block(name).kind == "gate":
        for identity_start in (False, True):
            module = build(name, identity_start=identity_start).eval()
            for parameter in module.parameters():
                nn.init.uniform_(parameter, -1, 1)
            x = draw(2, 16, 5, 3)
            factor = module(x) / x
            assert factor.min() >= 0
            assert factor.max() <= 4  # two doubled gates


@EVERY
def test_identity_start_is_the_identity(name):
    for training in (True, False):
        module = build(name, identity_start=True).train(training)
        for size in legal_sizes(name):
            x = draw(3, 16, *size)
            assert torch.equal(module(x), x), (training, size)


@EVERY
def test_the_papers_start_is_not_the_identity(name):
    x = draw(2, 16, 5, 3)
    assert not torch.allclose(build(name)(x), x, atol=0.1)


@EVERY
@pytest.mark.parametrize("batch", [1, 3])
def test_identity_start_can_learn_at_once(name, batch):
    module, x = build(name, identity_start=True).train(), draw(batch, 16, 5, 3)
    found = gradients(module, x)
    assert all(gradient.isfinite().all() for gradient in found.values())
    alive = [key for key, gradient in found.items() if key != "x" and gradient.any()]
    assert alive
    torch.optim.SGD(module.parameters(), lr=0.1).step()
    assert not torch.equal(module(x), x)


@EVERY
def test_all_that_can_learn_does_after_two_steps(name):
    # Two zeroed factors would shut each other off for ever. A bias in front of a softmax moves
    # nothing at any time: its gradient is rounding.
    module = build(name, identity_start=True).double().train()
    x = draw(3, 16, 5, 3, dtype=torch.float64)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(2):
        gradients(module, x)
        optimizer.step()
    found = gradients(module, x)
    dead = [key for key, gradient in found.items() if gradient.abs().max() < 1e-12]
    assert dead == (["score.bias"] if name == "gc" else [])


@STARTS
@EVERY
def test_gradients_are_finite_on_odd_and_on_extreme_maps(name, identity_start):
    module = build(name, identity_start=identity_start).train()
    for size in legal_sizes(name):
        for x in (draw(2, 16, *size), torch.zeros(2, 16, *size), 1e4 * draw(2, 16, *size)):
            found = gradients(module, x)
            assert all(gradient.isfinite().all() for gradient in found.values()), size


@EVERY
def test_gradients_are_those_of_finite_differences(name):
    module = build(name, channels=4).double().eval()
    x = draw(2, 4, 3, 2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(module, x)


@STARTS
@EVERY
def test_images_of_a_batch_do_not_see_each_other_in_eval(name, identity_start):
    module = build(name, identity_start=identity_start).eval()
    x = draw(3, 16, 5, 3)
    torch.testing.assert_close(module(x), torch.cat([module(image[None]) for image in x]))


@STARTS
@EVERY
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_channels_last_changes_the_order_in_memory_only(name, identity_start, training):
    module = build(name, identity_start=identity_start).double().train(training)
    x = draw(2, 16, 5, 3, dtype=torch.float64)
    last = x.to(memory_format=torch.channels_last)
    y = module(last)
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y, module(x))
    torch.testing.assert_close(gradients(module, last), gradients(module, x))


@EVERY
def test_the_same_seed_gives_the_same_to_the_last_digit(name):
    one, two = build(name), build(name)
    x = draw(2, 16, 5, 3)
    assert torch.equal(one(x), two(x))
    first, second = gradients(one, x), gradients(two, x)
    assert all(torch.equal(first[key], second[key]) for key in first)


@EVERY
def test_the_input_is_left_as_it_was(name):
    x = draw(2, 16, 5, 3)
    build(name)(x)
    assert torch.equal(x, draw(2, 16, 5, 3))


@EVERY
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)
def test_export_keeps_the_function_for_any_batch(name, order):
    module = build(name).eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    example = draw(2, 16, 6, 5).to(memory_format=order)
    exported = torch.export.export(module, (example,), dynamic_shapes=({0: batch},)).module()
    for images in (1, 3):
        x = draw(images, 16, 6, 5).to(memory_format=order)
        torch.testing.assert_close(exported(x), module(x))
