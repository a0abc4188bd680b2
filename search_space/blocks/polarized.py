"""Polarized self-attention, parallel (psa_p) and sequential (psa_s)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .gates import sigmoid_gate, zero
from .positions import channel_sums, position_sums
from .registry import register_block

SMALLEST = 32
"""Channels below which the layer norm of psa_s is over 2 values or fewer, and only their signs
or nothing pass it."""


@register_block("psa_p", family="both", paper="Liu et al., arXiv:2107.00782", year=2021)
class ParallelPolarized(nn.Module):
    """y = x * sigmoid(Wz z) + x * sigmoid(softmax_p(k . t_p)), of channels and of positions.

    z = sum_p softmax_p(q . x_p) Wv x_p, k = mean_p Wq x_p, t_p = Wt x_p; no biases. Both sums are
    taken first over x and only then multiplied with the matrices, which is the same and touches
    no map of m channels.
    Shapes: x, y (N, C, H, W); q (1, C); Wv, Wq, Wt (m, C); Wz (C, m); m = C // 2.
    Parameters: C + 4Cm. Identity start, near: Wz = Wq = 0, so that both gates are about 0.5 and
    the gain is 1 + 1 / (4 H W); on a 1x1 map 1.23.
    Source: Liu et al. 2021 (Polarized self-attention), arXiv:2107.00782, with the
    softmax over positions after the product, as in the authors' code.
    """

    def __init__(self, channels: int, *, identity_start: bool = False) -> None:
        super().__init__()
        half = channels // 2
        self.score = nn.Linear(channels, 1, bias=False)
        self.value = nn.Linear(channels, half, bias=False)
        self.expand = nn.Linear(half, channels, bias=False)
        self.query = nn.Linear(channels, half, bias=False)
        self.key = nn.Linear(channels, half, bias=False)
        if identity_start:
            zero(self.expand, self.query)

    def forward(self, x: Tensor) -> Tensor:
        scores = channel_sums(self.score.weight, x).softmax(2)  # (N, 1, P)
        context = position_sums(scores, x)  # (N, C)
        channel = self.expand(self.value(context)).sigmoid()  # (N, C)
        # k . Wt x_p = (Wt' k) . x_p
        probe = torch.matmul(self.query(x.mean((2, 3))), self.key.weight)  # (N, m) -> (N, C)
        spatial = channel_sums(probe[:, None], x).softmax(2).sigmoid()  # (N, 1, P)
        y = x * channel[:, :, None, None]
        return torch.addcmul(y, x, spatial.unflatten(2, x.shape[2:]))

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: None) -> int:
        return channels + 4 * channels * (channels // 2)

    @staticmethod
    def legal(channels: int, height: int, width: int, ratio: None) -> bool:
        return channels >= 2


@register_block("psa_s", family="both", paper="Liu et al., arXiv:2107.00782", year=2021)
class SequentialPolarized(nn.Module):
    """u = x * sigmoid(W2 relu(LN(W1 z))), then y = u * sigmoid(k . s), of channels, then positions.

    z = sum_p softmax_p(q . x_p) Wv x_p, k = mean_p Wq u_p, s = softmax_p(Wt u_p) for each of the
    m rows; W1 and W2 have biases, the others none.
    Shapes: x, u, y (N, C, H, W), C >= 32; q (1, C); Wv, Wq, Wt (m, C), m = C // 2; W1 (e, m);
    W2 (C, e), e = m // 4. Parameters: 3Cm + me + eC + 3e + 2C.
    Identity start: W2, its bias and Wq 0, both gates doubled.
    Source: Liu et al. 2021 (Polarized self-attention), arXiv:2107.00782, with the softmax
    over positions before the product, as in the authors' code.
    """

    def __init__(self, channels: int, *, identity_start: bool = False) -> None:
        super().__init__()
        half = channels // 2
        quarter = half // 4
        self.score = nn.Linear(channels, 1, bias=False)
        self.value = nn.Linear(channels, half, bias=False)
        self.reduce = nn.Linear(half, quarter)
        self.norm = nn.LayerNorm(quarter)
        self.expand = nn.Linear(quarter, channels)
        self.query = nn.Linear(channels, half, bias=False)
        self.key = nn.Linear(channels, half, bias=False)
        self.identity_start = identity_start
        if identity_start:
            zero(self.expand, self.query)

    def forward(self, x: Tensor) -> Tensor:
        u = x * self.channel_gate(x)
        return u * self.spatial_gate(u)

    def channel_gate(self, x: Tensor) -> Tensor:
        """The factor of each channel, (N, C, 1, 1)."""
        scores = channel_sums(self.score.weight, x).softmax(2)  # (N, 1, P)
        context = position_sums(scores, x)  # (N, C)
        hidden = F.relu(self.norm(self.reduce(self.value(context))))  # (N, e)
        return sigmoid_gate(self.expand(hidden), doubled=self.identity_start)[:, :, None, None]

    def spatial_gate(self, u: Tensor) -> Tensor:
        """The factor of each position, (N, 1, H, W)."""
        keys = torch.matmul(self.key.weight, u.flatten(2)).softmax(2)  # (N, m, P)
        query = self.query(u.mean((2, 3)))[:, None]  # (N, 1, m)
        gate = sigmoid_gate(torch.matmul(query, keys), doubled=self.identity_start)  # (N, 1, P)
        return gate.unflatten(2, u.shape[2:])

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: None) -> int:
        half = channels // 2
        quarter = half // 4
        return (
            3 * channels * half + half * quarter + quarter * channels + 3 * quarter + 2 * channels
        )

    @staticmethod
    def legal(channels: int, height: int, width: int, ratio: None) -> bool:
        return channels >= SMALLEST
