"""Non-local attention (nl) and its bilinear form on blocks of the map (bat)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .gates import zero
from .heads import as_map, channels_last, in_order_of, pointwise, tokens
from .registry import hidden_width, register_block


@register_block(
    "nl",
    kind="unit",
    ratios=(2, 4, 8, 16, 32),
    family="self-attention",
    ratio_means="width C / r of queries, keys and values",
    paper="Wang et al., arXiv:1711.07971",
    year=2018,
)
class NonLocalAttention(nn.Module):
    """y = x + BN(Wz A(x) + bz), A one head of softmax(q . k / sqrt(C)) v; q, k, v with biases.

    Shapes: x, y (N, C, H, W), H W > 1; q, k, v (P, h); Wz (C, h); h = hidden_width(C, ratio).
    Parameters: 4Ch + 3h + 3C. Identity start: BN's weight and bias 0, as in the paper.
    Source: Wang et al. 2018, arXiv:1711.07971, eq. 6, with the scale that timm's `NonLocalAttn`
    has, by C and not by h.
    """

    sliceable = True

    def __init__(self, channels: int, ratio: int, *, identity_start: bool = False) -> None:
        super().__init__()
        hidden = hidden_width(channels, ratio)
        self.scale = channels**-0.5
        self.query = nn.Linear(channels, hidden)
        self.key = nn.Linear(channels, hidden)
        self.value = nn.Linear(channels, hidden)
        self.project = nn.Linear(hidden, channels)
        self.norm = nn.BatchNorm2d(channels)
        if identity_start:
            zero(self.norm)

    def forward(self, x: Tensor) -> Tensor:
        last = channels_last(x)
        layers = self.query, self.key, self.value
        q, k, v = (tokens(pointwise(layer, last))[:, None] for layer in layers)  # (N, 1, P, h)
        attended = F.scaled_dot_product_attention(q, k, v, scale=self.scale).squeeze(1)
        y = self.norm(pointwise(self.project, as_map(attended, x)))
        return x + in_order_of(x, y)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        hidden = hidden_width(channels, ratio)
        return 4 * channels * hidden + 3 * hidden + 3 * channels

    @staticmethod
    def legal(channels: int, height: int, width: int, ratio: int) -> bool:
        """Batch norm cannot be trained on a 1x1 map with a batch of one."""
        return height * width > 1


GROUPS = 2
DROPPED = 0.2
_BAT: dict[str, Any] = {
    "kind": "unit",
    "ratios": (2, 4, 8),
    "family": "mixer",
    "ratio_means": "width C / r of what is transformed",
    "paper": "Chi et al., CVPR",
    "year": 2020,
}


@register_block("bat_4", settings={"side": 4}, **_BAT)
@register_block("bat_8", settings={"side": 8}, **_BAT)
@register_block("bat", settings={"side": 7}, **_BAT)
class BilinearAttention(nn.Module):
    """y = x + f3(f2(P u Q)), u = f1(x), the rows and columns of b x b blocks mixed by P and Q.

    f1, f2, f3 are relu(BN(1x1 convolution)) of widths C -> h, h -> h, h -> C. P and Q (b, b), for
    each of 2 groups of channels, are sigmoids of a convolution of the row and column maxima of b
    parts of relu(BN(W u)), W h -> 2; P's rows and Q's columns are scaled to a sum of 1. P mixes the
    b parts of the height, each as many pixels, at the same place within them, Q those of the width.
    b = 7 (bat), 8 (bat_8) or 4 (bat_4). In training a fifth of the channels of f3 is dropped.
    Shapes: x, y (N, C, H, W), b divides H and W; u (N, h, H, W), h = hidden_width(C, ratio) even.
    Parameters: 2Ch + h^2 + 6h + 2C + 4 + 8b^3 + 4b^2. Nothing can be zeroed before a ReLU, so the
    identity start blends the sum in: x + a f3, a learned, 0 at first: one parameter.
    On maps that b does not divide, zeros are added at the right and at the bottom.
    Source: Chi et al. 2020 (Bilinear attentional transforms), CVPR, as timm's `BatNonLocalAttn`.
    """

    start_parameters = 1

    def __init__(
        self, channels: int, ratio: int, *, side: int, identity_start: bool = False
    ) -> None:
        super().__init__()
        hidden = _even(hidden_width(channels, ratio))
        self.side = side
        self.reduce = _activated(channels, hidden)
        self.gather = _activated(hidden, GROUPS)
        self.to_p = nn.Conv2d(GROUPS, GROUPS * side**2, (side, 1))
        self.to_q = nn.Conv2d(GROUPS, GROUPS * side**2, (1, side))
        self.mix = _activated(hidden, hidden)
        self.expand = _activated(hidden, channels)
        self.drop = nn.Dropout2d(DROPPED)
        self.blend = nn.Parameter(torch.zeros(())) if identity_start else None

    def forward(self, x: Tensor) -> Tensor:
        u = self.reduce(self._padded(channels_last(x)))
        y = self.drop(self.expand(self.mix(self._mixed(u))))
        y = in_order_of(x, y[:, :, : x.shape[2], : x.shape[3]])
        return x + (y if self.blend is None else self.blend * y)

    def _padded(self, x: Tensor) -> Tensor:
        bottom, right = -x.shape[2] % self.side, -x.shape[3] % self.side
        return F.pad(x, (0, right, 0, bottom)) if bottom or right else x

    def _mixed(self, u: Tensor) -> Tensor:
        """P u Q, (N, h, H, W)."""
        side, (height, width) = self.side, u.shape[2:]
        gathered = self.gather(u)  # (N, 2, H, W)
        pairs = (-1, GROUPS, side, side)
        p = self.to_p(F.adaptive_max_pool2d(gathered, (side, 1))).view(pairs).sigmoid()
        p = p / p.sum(3, keepdim=True)
        q = self.to_q(F.adaptive_max_pool2d(gathered, (1, side))).view(pairs).sigmoid()
        q = q / q.sum(2, keepdim=True)
        # In every group, P times a matrix of b rows of all else, then Q' times one
        shape = (-1, side, height // side * width, GROUPS, u.shape[1] // GROUPS)
        rows = u.permute(0, 2, 3, 1).reshape(shape)  # (N, b, ., 2, h / 2)
        y = torch.matmul(p, rows.permute(0, 3, 1, 2, 4).flatten(3))  # (N, 2, b, .)
        y = y.view(-1, GROUPS, height, side, width // side * shape[4]).transpose(2, 3)
        y = torch.matmul(q.transpose(2, 3), y.flatten(3))  # (N, 2, b, .)
        y = y.view(-1, GROUPS, side, height, width // side, shape[4])
        last = y.permute(0, 3, 2, 4, 1, 5).reshape(u.shape[0], height, width, -1)
        return last.permute(0, 3, 1, 2)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int, *, side: int) -> int:
        hidden = _even(hidden_width(channels, ratio))
        layers = 2 * channels * hidden + hidden**2 + 6 * hidden + 2 * channels + 2 * GROUPS
        return layers + 2 * (GROUPS * side**2) * (GROUPS * side + 1)

    @staticmethod
    def widths(channels: int, ratio: int, *, side: int) -> tuple[int, ...]:
        return (_even(hidden_width(channels, ratio)),)

    @staticmethod
    def legal(channels: int, height: int, width: int, ratio: int, *, side: int) -> bool:
        return height % side == 0 and width % side == 0


def _even(width: int) -> int:
    return width + width % GROUPS


def _activated(channels_in: int, channels: int) -> nn.Sequential:
    """relu(BN(1x1 convolution)), without bias."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )
