import importlib
import pkgutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from attnas.core import InputError
from attnas.search_space import BLOCKS, Block, block, blocks, hidden_width, register_block


class Halve(nn.Module):
    def __init__(self, channels, *, identity_start=False):
        super().__init__()

    def forward(self, x):
        return x / 2

    @staticmethod
    def params(channels, height, width, ratio):
        return 0


class Picky(Halve):
    def __init__(self, channels, ratio, *, identity_start=False):
        super().__init__(channels)
        self.arguments = channels, ratio, identity_start

    start_parameters = 2

    @staticmethod
    def params(channels, height, width, ratio):
        return channels * height * width + ratio

    @staticmethod
    def widths(channels, ratio):
        return channels // ratio, channels % ratio

    @staticmethod
    def legal(channels, height, width, ratio):
        return channels % ratio == 0 and height == width


NAMES = """
bam bat bat_4 bat_8 cbam cca ceca channel_group coord cse cvt dual eca ecam ela_b ela_l ela_s
ela_silu ela_t ema ese fca gated_conv gated_conv_1 gated_conv_2 gc gca ge ge_2 ge_4 ge_8 ge_plus
ge_plus_2 ge_plus_4 ge_plus_8 ge_theta ge_theta_2 ge_theta_4 ge_theta_8 gpsa halo lambda lcbam
lowtention lowtention_half maxpool mhsa moat modulation nl pat_ch pat_sf pat_sp psa_p psa_s
scoord scse scse_max se simam sk sk_grouped splat sra sse strip triplet window
"""


def test_the_blocks_are_those_of_the_folder():
    names = NAMES.split()
    assert list(BLOCKS) == names
    for module in pkgutil.iter_modules(blocks.__path__):  # whatever they register
        importlib.import_module(f"{blocks.__name__}.{module.name}")
    assert list(BLOCKS) == names
    assert all(found.name == name for name, found in BLOCKS.items())
    assert BLOCKS.summary("eca").startswith("y = x * sigmoid(conv1d_k(m)), m = mean of x")


def test_no_attention_is_not_a_block():
    assert "none" not in BLOCKS


def test_every_block_but_cse_is_a_function_of_its_own():
    assert {name: b.function for name, b in BLOCKS.items() if b.function != name} == {"cse": "se"}


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError) as error:
        block("cbma")
    assert str(error.value) == (
        "unknown block 'cbma'. Did you mean 'cbam'? `attnas blocks` lists all."
    )


def test_a_name_near_to_none_is_answered_with_all():
    with pytest.raises(InputError) as error:
        block("transformer_xl")
    assert str(error.value) == (
        f"unknown block 'transformer_xl'. Known: {', '.join(NAMES.split())}. "
        "`attnas blocks` lists all."
    )


@pytest.mark.usefixtures("own_registers")
def test_a_registered_block_is_found_under_its_name():
    assert register_block("halve", kind="mixer")(Halve) is Halve
    assert block("halve") == Block("halve", "mixer", (), Halve, "halve")
    assert list(BLOCKS) == sorted(BLOCKS)


@pytest.mark.usefixtures("own_registers")
def test_a_name_registered_twice_is_an_error():
    with pytest.raises(ValueError, match="block") as error:
        register_block("se")(Halve)
    assert str(error.value) == (
        "block 'se' is attnas.search_space.blocks.squeeze_excite.SqueezeExcite already; "
        f"register {__name__}.Halve under another name"
    )
    assert block("se").module is not Halve


@pytest.mark.usefixtures("own_registers")
def test_a_class_of_the_same_name_in_another_module_is_another_class():
    foreign = type("SqueezeExcite", (Halve,), {"__module__": "elsewhere"})
    with pytest.raises(ValueError, match="register elsewhere"):
        register_block("se")(foreign)


@pytest.mark.usefixtures("own_registers")
def test_a_reloaded_class_replaces_itself():
    again = type("Halve", (Halve,), {"__module__": __name__})
    register_block("halve")(Halve)
    register_block("halve")(again)
    assert block("halve").module is again


@pytest.mark.usefixtures("own_registers")
def test_a_class_that_cannot_count_its_parameters_is_an_error():
    with pytest.raises(ValueError, match="bare") as error:
        register_block("bare")(nn.Identity)
    assert str(error.value) == (
        "block 'bare': torch.nn.modules.linear.Identity needs a static method `params`"
    )
    assert "bare" not in BLOCKS


@pytest.mark.usefixtures("own_registers")
def test_what_a_class_declares_goes_before_the_defaults():
    register_block("picky", ratios=(8, 3), function="se")(Picky)
    picky = block("picky")
    assert (picky.ratios, picky.function, picky.kind) == ((3, 8), "se", "gate")
    assert picky.widths(20, 3) == (6, 2)
    assert [picky.legal(c, 4, w, 3) for c, w in ((21, 4), (20, 4), (21, 5))] == [True, False, False]
    assert picky.params(20, 4, 5, 3) == 403
    assert picky.params(20, 4, 5, 3, identity_start=True) == 405
    assert picky.make(20, 3, identity_start=True).arguments == (20, 3, True)


@pytest.mark.usefixtures("own_registers")
def test_a_class_that_declares_only_its_parameters_gets_the_defaults():
    register_block("halve")(Halve)
    halve = block("halve")
    assert halve.widths(64, None) == ()
    assert halve.widths(64, 8) == (8,)
    assert halve.legal(1, 1, 1, None) is True
    assert halve.params(64, 8, 8, None, identity_start=True) == 0
    assert halve.make(64, None, identity_start=False)(torch.ones(1)).item() == 0.5


@pytest.mark.parametrize(
    ("channels", "ratio", "width"),
    [(64, 2, 32), (64, 16, 4), (64, 32, 4), (16, 2, 8), (16, 8, 4), (24, 16, 4), (88, 16, 6)],
)
def test_the_hidden_width_rounds_half_up_and_is_at_least_4(channels, ratio, width):
    assert hidden_width(channels, ratio) == width


@given(st.integers(1, 10_000), st.integers(1, 64))
def test_the_hidden_width_is_the_nearest_to_the_quotient(channels, ratio):
    width = hidden_width(channels, ratio)
    rest = channels - width * ratio
    assert -ratio <= 2 * rest < ratio or (width == 4 and rest < 0)
