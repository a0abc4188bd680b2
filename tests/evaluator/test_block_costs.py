"""What each block costs on 64 channels, worked by hand from its equation.

Elementwise work is 1 an element, an activation of two steps 2, a softmax 3, batch norm 2, other
norms 5, a multiply-add 1; comparisons and moves are free (see `operator_costs`).
"""

import pytest

from attnas.evaluator.complexity import complexity
from attnas.search_space import BLOCKS, block

C, H, W = 64, 8, 8
P = H * W
E = C * P  # elements of the map
STRIPS = H + W
HEADS, D = 4, 16  # of 64 channels
LOW = 16  # positions of a map of half the side
h = 4  # C / 16
UP = E  # the nearest value for every element

SE_GATE = E + 2 * C * h + C
TO_STRIPS = E + C * H + E  # sums of rows, divided; means of columns


def attention(queries, keys, *, heads=HEADS, width=D, masked=False):
    return heads * queries * keys * (2 * width + 4 + masked)


def relative(queries, rows, columns):
    """Products of q with the positions of rows and columns, and their sum."""
    return HEADS * queries * D * (rows + columns) + HEADS * queries * rows * columns


def gpsa_axis(side):
    """Offsets and squares once, for each head two products, two sums and a softmax."""
    return side**2 * 2 + HEADS * side**2 * (2 + 2 + 3)


def theta(extent):
    """Depthwise convolutions and batch norms, on maps that halve."""
    if not extent:
        return C * P + 2 * C
    sides = [side for side in (4, 2, 1) if side >= 8 // extent]
    return sum((9 + 2) * C * side**2 for side in sides)


def plus(extent, places):
    return theta(extent) + 2 * C * h * places + C * places + E


def ema(groups):
    c = C // groups
    strips = 2 * E + STRIPS * c * c * groups + STRIPS * C  # means, W, sigmoid
    branches = 2 * E + 5 * E + 9 * c * E  # two products, group norm, convolution
    maps = 3 * c + E + 3 * C + 2 * E + groups * P  # softmaxes, a mean, two products, a sum
    return strips + branches + maps + groups * P + E


def selective(convolutions, hidden):
    norms_and_means = 4 * E + 2 * E + C
    return convolutions + norms_and_means + 3 * C * hidden + 2 * hidden + 2 * C + 2 * E


def pat_sf(n):
    c = C // n
    d, heads = C - c, (C - c) // 16
    table = 5 * P  # root, quotient, logarithm, product and sum for each offset
    attend = attention(P, P, heads=heads, masked=True)
    return 9 * c * c * P + 5 * d * P + 4 * d * d * P + table + attend


def low(r, heads, width):
    places = P // r**2
    kernel, up = {1: (9, 9), 2: (25, 16), 4: (49, 64)}[r]
    e = heads * width
    products = 4 * e * C * places + (kernel + 2 + up) * C * places
    return products + attention(places, places, heads=heads, width=width)


def gated_conv(hidden):
    return 5 * E + 3 * hidden * E + 49 * E + 3 * hidden * P + E


def bat(side, places, hidden=16):
    layers = (2 * C * hidden + hidden**2 + 2 * hidden) * places
    norms = 2 * (hidden + 2 + hidden + C) * places
    maps = 2 * (2 * side**2 * (2 * side) + 3 * 2 * side**2)
    return layers + norms + maps + 2 * hidden * places * side + C * places


PSA_CONTEXT = E + 3 * P + E + C * 32
ELA = TO_STRIPS + 5 * C * STRIPS + C * STRIPS + 2 * E

COSTS = {  # by name, with the ratio
    ("bam", 16): E + 2 * C * h + 2 * h + (C * h + 18 * h * h + h + 6 * h) * P + 3 * E,
    ("bat", 4): bat(7, 49),
    ("bat_4", 4): bat(4, P),
    ("bat_8", 4): bat(8, P),
    ("cbam", 16): E + 3 * C * h + h + C + E + E + (98 + 2 + 1) * P + E,
    ("cca", None): E + C * C + C + E,
    ("ceca", None): E + 3 * C + C + E,
    ("channel_group", None): 4 * C * E + 2 * D * E + 4 * C * D,
    ("coord", 16): TO_STRIPS + 2 * STRIPS * C * h + 4 * STRIPS * h + STRIPS * C + 2 * E,
    ("cse", 16): SE_GATE + E,
    ("cvt", None): (9 + 2 + C) * C * (P + 2 * LOW) + attention(P, LOW) + C * E,
    ("dual", 8): 20 * C * E + E + E + 51 * P + E + 2 * C * 8 + C + 2 * E + E,
    ("eca", None): E + 3 * C + C + E,
    ("ecam", 16): E + h * C + 3 * h * C + 3 * C + C + C + E,
    ("ela_b", None): ELA + 7 * C * STRIPS,
    ("ela_l", None): ELA + 56 * C * STRIPS,
    ("ela_s", None): ELA + 40 * C * STRIPS,
    ("ela_silu", None): ELA + 7 * C * STRIPS + 2 * C * STRIPS,
    ("ela_t", None): ELA + 5 * C * STRIPS,
    ("ema", 8): ema(8),
    ("ese", None): E + C * C + C + E,
    ("fca", 16): E + 2 * C * h + C + E,
    ("gated_conv", None): gated_conv(170),
    ("gated_conv_1", None): gated_conv(64),
    ("gated_conv_2", None): gated_conv(128),
    ("gc", 16): E + P + 3 * P + E + 2 * C * h + 5 * h + C + E,
    ("gca", 16): E + P + 3 * P + E + 2 * C * h + 5 * h + E,
    ("ge", None): E + C + E,
    ("ge_2", None): 9 * C * 16 + C * 16 + UP + E,
    ("ge_4", None): 49 * C * 4 + C * 4 + UP + E,
    ("ge_8", None): 225 * C + C + E,
    ("ge_plus", 16): plus(0, 1),
    ("ge_plus_2", 16): plus(2, 16) + UP,
    ("ge_plus_4", 16): plus(4, 4) + UP,
    ("ge_plus_8", 16): plus(8, 1),
    ("ge_theta", None): theta(0) + C + E,
    ("ge_theta_2", None): theta(2) + C * 16 + UP + E,
    ("ge_theta_4", None): theta(4) + C * 4 + UP + E,
    ("ge_theta_8", None): theta(8) + C + E,
    ("gpsa", None): 4 * C * E
    + attention(P, P)
    + gpsa_axis(H)
    + gpsa_axis(W)
    + (H + W) * E
    + HEADS
    + 2 * E,
    ("halo", 1): 3 * C * E + relative(64, 14, 14) + attention(64, 196, masked=True),
    ("lambda", None): P * C * (64 + 16 + 16)
    + 2 * P * (64 + 16)
    + 3 * 16 * P
    + 16 * 16 * P
    + 16 * 16 * 81 * P
    + 16 * 16 * P
    + HEADS * 16 * 16 * P,
    ("lcbam", 16): E + 2 * C + 2 * C * h + C + E + E + (2 + 49 + 2 + 1) * P + E,
    ("lowtention", 1): low(1, 2, 32),
    ("lowtention", 2): low(2, 2, 32),
    ("lowtention", 4): low(4, 2, 32),
    ("lowtention_half", 2): low(2, 1, 32),
    ("maxpool", None): 0,
    ("mhsa", 1): 3 * C * E + relative(P, H, W) + attention(P, P, masked=True),
    ("moat", None): 4 * C * E + attention(P, P, masked=True),
    ("modulation", 1): 5 * E + 4 * C * E + (49 + 2) * E + E + E,
    ("modulation", 4): 5 * E + 10 * C * E + (49 + 2) * E + 3 * 4 * E + E,
    ("nl", 16): 4 * C * h * P + attention(P, P, heads=1, width=h) + 3 * E,
    ("pat_ch", 4): 9 * 16 * 16 * P + 7 * 48 * P + 2 * 48 * 48 + 5 * 48,
    ("pat_sf", 4): pat_sf(4),
    ("pat_sp", 2): 32 * P + P + 3 * 32 * P + 2 * 32 * P + 32 * 32 * P,
    ("psa_p", None): PSA_CONTEXT + C * 32 + C + E + 2 * C * 32 + E + 3 * P + P + 2 * E,
    ("psa_s", None): PSA_CONTEXT
    + 32 * 8
    + 5 * 8
    + 8 * C
    + C
    + E
    + 32 * E
    + 3 * 32 * P
    + E
    + C * 32
    + 32 * P
    + P
    + E,
    ("scoord", 16): TO_STRIPS + 2 * STRIPS * C * h + 2 * STRIPS * h + 3 * E,
    ("scse", 16): SE_GATE + E + E + 2 * P + E,
    ("scse_max", 16): SE_GATE + E + E + 2 * P + E,
    ("se", 16): SE_GATE + E,
    ("simam", None): 4 * E + C + C + 2 * C + 4 * E,
    ("sk", 8): selective(9 * C * E, 8),
    ("sk_grouped", 8): selective(18 * C * E // 32, 8),
    ("splat", 8): selective(9 * C * E, 16),
    ("sra", 1): 4 * C * E + attention(P, P),
    ("sra", 2): 2 * C * E + (4 + 2) * C * C * LOW + 5 * C * LOW + attention(P, LOW),
    ("sse", None): E + 2 * P + E,
    ("strip", None): TO_STRIPS + C * STRIPS + 2 * C * (STRIPS - 2) + 3 * E,
    ("triplet", None): 3 * E + (98 + 2 + 1 + 1) * (P + C * W + C * H) + 3 * E,
    ("window", None): 4 * C * C * 196 + 4 * attention(49, 49),
}


@pytest.mark.parametrize(("name", "ratio"), COSTS, ids=str)
def test_a_block_costs_what_its_equation_says(name, ratio):
    size = (7, 7) if name == "bat" else (H, W)
    made = block(name).make(C, ratio, identity_start=False, size=size)
    counted = complexity(made, (C, *size))
    assert counted.uncounted == ()
    assert counted.flops == COSTS[name, ratio]


def test_every_block_is_among_them():
    assert {name for name, _ in COSTS} == set(BLOCKS)
