"""What every registered block must satisfy; a new block is tested here by being registered.

Two forms of each: as in its paper, and as an identity at first. A mixer is the latter only
beside a shortcut, so it is bare in the first form and wrapped in the second.
"""

import copy

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from attnas.search_space import BLOCKS, block

from .representatives import representatives

NAMES = sorted(BLOCKS)
FORMS = pytest.mark.parametrize("identity_start", [False, True], ids=["papers", "identity"])
EVERY = pytest.mark.parametrize("name", NAMES)
CLASSES = pytest.mark.parametrize("name", representatives())
ORDERS = pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)
SMALLER = [(5, 3), (1, 6), (2, 1), (1, 1)]

NEAR = {"psa_p": 0.25}  # two gates of 0.5, one of which adds 1 / (4 H W)

CONSTANT = {  # what cannot change the output, its gradient being rounding
    "bam": [  # shifts in front of batch norms
        "reduce.bias",
        *(f"spatial.{layer}.bias" for layer in (0, 3, 6)),
    ],
    "cvt": ["block.to_k.norm.bias", "block.to_k.linear.bias"],  # constants in a softmax
    "gc": ["score.bias"],
    "gca": ["score.bias"],
    "gpsa": ["block.position.bias"],
    "nl": ["key.bias", "value.bias", "project.bias"],  # in a softmax, in front of a batch norm
    "splat": ["block.reduce.bias"],
}


def ratio_of(name):
    """The middle ratio that a block knows, or None."""
    known = block(name).ratios
    return known[len(known) // 2] if known else None


def largest_of(name):
    """The largest map that it is tested on: 7x7 for what needs a multiple of 7."""
    return (8, 8) if block(name).legal(32, 8, 8, ratio_of(name)) else (7, 7)


def channels_of(name, choices=(16, 32)):
    return next(c for c in choices if block(name).legal(c, *largest_of(name), ratio_of(name)))


def build(name, channels=None, *, identity_start=False):
    torch.manual_seed(0)
    found = block(name)
    return found.make(
        channels or channels_of(name),
        ratio_of(name),
        identity_start=identity_start,
        size=largest_of(name),
        wrapped=identity_start and found.kind == "mixer",
    )


def sizes_of(name):
    """Maps on which it may be placed, and for one made for the largest also the smaller ones."""
    found, channels = block(name), channels_of(name)
    smaller = [s for s in SMALLER if found.sized or found.legal(channels, *s, ratio_of(name))]
    return [largest_of(name), *smaller]


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def images(name, batch, *size, **kind):
    return draw(batch, channels_of(name), *size, **kind)


def gradients(module, x):
    """Of a random linear function of the output, for x and each parameter by name."""
    x = x.clone().requires_grad_()
    module.zero_grad()
    torch.manual_seed(3)  # for dropout
    (module(x) * draw(*x.shape, seed=1, dtype=x.dtype)).sum().backward()
    return {"x": x.grad, **{name: p.grad for name, p in module.named_parameters()}}


@FORMS
@CLASSES
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_shape_and_dtype_are_kept_and_all_is_finite(name, identity_start, training):
    module = build(name, identity_start=identity_start).train(training)
    for size in sizes_of(name):
        for batch in (1, 3):
            if not (batch == 1 and training and block(name).needs_batch):
                x = images(name, batch, *size)
                y = module(x)
                assert (y.shape, y.dtype) == (x.shape, x.dtype), size
                assert y.isfinite().all(), size


@CLASSES
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_other_precisions_are_kept(name, dtype):
    y = build(name, identity_start=True).to(dtype)(images(name, 2, 5, 3).to(dtype))
    assert y.dtype == dtype
    assert y.isfinite().all()


@FORMS
@CLASSES
def test_mixed_precision_stays_near_to_full(name, identity_start):
    module, x = build(name, identity_start=identity_start).eval(), images(name, 2, 5, 3)
    with torch.no_grad():
        for parameter in module.parameters():  # a start of zeros would hide a branch
            parameter += 0.1 * draw(*parameter.shape, seed=2)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = module(x)
        torch.testing.assert_close(mixed.float(), module(x), rtol=0.05, atol=0.05)


@EVERY
def test_parameters_in_closed_form_are_those_counted(name):
    found = block(name)
    for channels in (1, 8, 24, 64, 96, 512):
        for ratio in found.ratios or (None,):
            if not found.legal(channels, 8, 6, ratio):
                continue
            for start in (False, True):
                for wrapped in {False, found.kind == "mixer"}:
                    form = {"identity_start": start, "wrapped": wrapped}
                    with torch.device("meta"):
                        module = found.make(channels, ratio, size=(8, 6), **form)
                    counted = sum(parameter.numel() for parameter in module.parameters())
                    closed = found.params(channels, 8, 6, ratio, **form)
                    assert closed == counted, (channels, ratio, form)


@settings(max_examples=100)
@given(st.sampled_from(NAMES), st.integers(1, 96), st.data())
def test_widths_are_equal_where_the_modules_are(name, channels, data):
    found = block(name)
    pair = [data.draw(st.sampled_from(found.ratios)) if found.ratios else None for _ in range(2)]
    assume(all(found.legal(channels, 8, 8, ratio) for ratio in pair))
    with torch.device("meta"):
        made = [found.make(channels, r, identity_start=False, size=(8, 8)) for r in pair]
    shapes = [[value.shape for value in module.state_dict().values()] for module in made]
    widths = [found.widths(channels, ratio) for ratio in pair]
    assert (widths[0] == widths[1]) == (shapes[0] == shapes[1])


@CLASSES
def test_a_narrower_module_is_the_leading_part_of_a_wider_one_where_that_is_said(name):
    found, channels = block(name), channels_of(name, (64,))
    if not found.sliceable:
        return
    with torch.device("meta"):
        made = [found.make(channels, r, identity_start=True, size=(8, 8)) for r in found.ratios]
    shapes = [{name: p.shape for name, p in module.named_parameters()} for module in made]
    widest = max(shapes, key=lambda of: sum(shape.numel() for shape in of.values()))
    for of in shapes:
        assert of.keys() == widest.keys()
        assert all(a <= b for name in of for a, b in zip(of[name], widest[name], strict=True))


@CLASSES
def test_a_gate_scales_each_value_by_a_bounded_positive_factor(name):
    if block(name).kind != "gate" or name == "gca":  # gca adds, where a gate can be placed
        return
    for identity_start in (False, True):
        module = build(name, identity_start=identity_start).eval()
        for parameter in module.parameters():
            nn.init.uniform_(parameter, -1, 1)
        x = images(name, 2, 5, 3)
        factor = module(x) / x
        assert factor.min() >= 0
        assert factor.max() <= 4  # two doubled gates


@EVERY
def test_identity_start_is_the_identity(name):
    for training in (True, False):
        module = build(name, identity_start=True).train(training)
        for size in sizes_of(name):
            x = images(name, 3, *size)
            if name in NEAR:
                torch.testing.assert_close(module(x), x, rtol=NEAR[name], atol=0)
            else:
                assert torch.equal(module(x), x), (training, size)


@CLASSES
def test_the_papers_start_is_not_the_identity(name):
    x = images(name, 2, 5, 3)
    assert not torch.allclose(build(name)(x), x, atol=0.1)


@CLASSES
@pytest.mark.parametrize("batch", [1, 3])
def test_identity_start_can_learn_at_once(name, batch):
    batch += batch == 1 and block(name).needs_batch
    module, x = build(name, identity_start=True).train(), images(name, batch, 5, 3)
    found = gradients(module, x)
    assert all(gradient.isfinite().all() for gradient in found.values())
    alive = [key for key, gradient in found.items() if key != "x" and gradient.any()]
    assert alive
    torch.optim.SGD(module.parameters(), lr=0.1).step()
    assert not torch.equal(module(x), x)


@CLASSES
def test_all_that_can_learn_does_after_two_steps(name):
    # Two zeroed factors would shut each other off for ever.
    module = build(name, identity_start=True).double().train()
    usual = block(name).legal(channels_of(name), 5, 3, ratio_of(name))
    x = images(name, 3, *((5, 3) if usual else largest_of(name)), dtype=torch.float64)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(2):
        gradients(module, x)
        optimizer.step()
    found = gradients(module, x)
    dead = [key for key, gradient in found.items() if gradient.abs().max() < 1e-12]
    assert dead == CONSTANT.get(name, [])


@FORMS
@CLASSES
def test_gradients_are_finite_on_odd_and_on_extreme_maps(name, identity_start):
    module = build(name, identity_start=identity_start).train()
    for size in sizes_of(name):
        x = images(name, 2, *size)
        for extreme in (x, torch.zeros_like(x), 1e4 * x):
            found = gradients(module, extreme)
            assert all(gradient.isfinite().all() for gradient in found.values()), size


@CLASSES
def test_gradients_are_those_of_finite_differences(name):
    channels = channels_of(name, (4, 8, 16, 32))
    module = build(name, channels=channels).double().eval()
    x = draw(2, channels, 3, 2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(module, x, fast_mode=channels > 4)


@FORMS
@CLASSES
def test_images_of_a_batch_do_not_see_each_other_in_eval(name, identity_start):
    module = build(name, identity_start=identity_start).double().eval()
    x = images(name, 3, 5, 3, dtype=torch.float64)
    torch.testing.assert_close(module(x), torch.cat([module(image[None]) for image in x]))


@FORMS
@CLASSES
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_the_order_in_memory_is_kept_and_changes_nothing_else(name, identity_start, training):
    module = build(name, identity_start=identity_start).double().train(training)
    x = images(name, 2, 5, 3, dtype=torch.float64)
    last = x.to(memory_format=torch.channels_last)
    torch.manual_seed(3)
    of_last = module(last)
    torch.manual_seed(3)
    y = module(x)
    assert y.is_contiguous()
    assert of_last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(of_last, y)
    torch.testing.assert_close(gradients(module, last), gradients(module, x))


@CLASSES
def test_the_same_seed_gives_the_same_to_the_last_digit(name):
    one, two = build(name), build(name)
    x = images(name, 2, 5, 3)
    assert torch.equal(one.eval()(x), two.eval()(x))
    first, second = gradients(one, x), gradients(two, x)
    assert all(torch.equal(first[key], second[key]) for key in first)


@CLASSES
def test_the_input_is_left_as_it_was(name):
    x = images(name, 2, 5, 3)
    build(name)(x)
    assert torch.equal(x, images(name, 2, 5, 3))


@CLASSES
def test_a_copy_is_equal(name):
    module, x = build(name, identity_start=True).eval(), images(name, 2, 5, 3)
    assert torch.equal(copy.deepcopy(module)(x), module(x))


@EVERY
def test_what_a_listing_says_is_said(name):
    found = block(name)
    assert found.family in ("channel", "spatial", "both", "self-attention", "mixer")
    assert found.paper
    assert found.year is None if found.paper.startswith("no paper") else found.year >= 2017
    assert bool(found.ratio_means) == bool(found.ratios)
