import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.frequency_channel import FrequencyChannelAttention

ROWS = [0, 0, 6, 0, 0, 1, 1, 4, 5, 1, 3, 0, 0, 0, 3, 2]
COLUMNS = [0, 1, 0, 5, 2, 0, 2, 0, 0, 6, 0, 4, 6, 3, 5, 2]


def basis(frequency, place, side):
    value = math.cos(math.pi * frequency * (place + 0.5) / side) / math.sqrt(side)
    return value * math.sqrt(2) if frequency else value


def equation(fca, x, side, scale=1):
    pooled = x if x.shape[2:] == (side, side) else F.adaptive_avg_pool2d(x, (side, side))
    z = torch.zeros(x.shape[:2], dtype=x.dtype)
    part = x.shape[1] // 16
    for i, (u, v) in enumerate(zip(ROWS, COLUMNS, strict=True)):
        u, v, channels = u * (side // 7), v * (side // 7), slice(i * part, (i + 1) * part)
        for row in range(side):
            for column in range(side):
                weight = basis(u, row, side) * basis(v, column, side)
                z[:, channels] += weight * pooled[:, channels, row, column]
    hidden = torch.relu(z @ fca.reduce.weight.T)
    gate = (hidden @ fca.expand.weight.T).sigmoid()
    return x * scale * gate[:, :, None, None]


@pytest.mark.parametrize(
    ("made_for", "map_size", "side"),
    [
        ((7, 7), (7, 7), 7),
        ((14, 14), (14, 14), 14),
        ((8, 8), (8, 8), 7),  # pooled
        ((9, 15), (9, 15), 7),
        ((14, 16), (7, 8), 14),  # half of the map that it was made for
    ],
)
def test_fca_weighs_the_cosines_of_each_part(randomise, generator, made_for, map_size, side):
    fca = randomise(FrequencyChannelAttention(32, ratio=8, size=made_for))
    x = torch.randn(2, 32, *map_size, generator=generator, dtype=torch.float64)
    assert_close(fca(x), equation(fca, x, side), rtol=1e-5, atol=1e-5)  # bases are float32


def test_fca_with_an_identity_start_is_the_doubled_gate_once_trained(randomise, generator):
    fca = randomise(FrequencyChannelAttention(32, ratio=8, size=(7, 7), identity_start=True))
    x = torch.randn(2, 32, 7, 7, generator=generator, dtype=torch.float64)
    assert_close(fca(x), equation(fca, x, 7, scale=2), rtol=1e-5, atol=1e-5)


def test_fca_has_the_parameters_of_the_literature_and_keeps_no_cosines_with_them():
    assert block("fca").params(64, 8, 8, 16) == 2 * 64 * 4 == 512
    made = block("fca").make(64, 16, size=(7, 7), identity_start=False)
    assert list(made.state_dict()) == ["reduce.weight", "expand.weight"]


def test_fca_is_legal_on_sixteen_equal_parts_and_maps_of_seven():
    legal = block("fca").legal
    assert [legal(c, 7, 7, 16) for c in (8, 16, 24, 32)] == [False, True, False, True]
    assert [legal(16, *size, 16) for size in ((6, 8), (8, 6), (7, 8))] == [False, False, True]


def test_a_block_that_depends_on_the_map_is_not_made_without_its_size():
    with pytest.raises(ValueError, match="'fca' needs the size of its map"):
        block("fca").make(64, 16, identity_start=False)
