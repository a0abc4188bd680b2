"""Gates from the means of rows and columns and convolutions along them (strip, ela)."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from .gates import sigmoid_gate, zero
from .registry import register_block
from .strips import broadcast_sum, column_means, convolved, convolved_3, row_means, scaled


@register_block(
    "strip", family="both", paper="no paper; timm's, after Hou et al., arXiv:2003.13328"
)
class StripAttention(nn.Module):
    """y_cij = x_cij * sigmoid((k_c * r_c)_i + (l_c * s_c)_j), * being convolution with 3 weights.

    r_c (H values) are the means of the rows of channel c, s_c (W values) of its columns; zeros
    stand beyond the ends, no biases.
    Shapes: x, y (N, C, H, W); k, l (C, 1, 3). Parameters: 6C. Identity start: k = l = 0, gate
    doubled.
    Source: timm's `StripAttn`, simpler than the strip pooling of Hou et al. 2020,
    arXiv:2003.13328.
    """

    def __init__(self, channels: int, *, identity_start: bool = False) -> None:
        super().__init__()
        self.rows = nn.Conv1d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.columns = nn.Conv1d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.identity_start = identity_start
        if identity_start:
            zero(self.rows, self.columns)

    def forward(self, x: Tensor) -> Tensor:
        rows = convolved_3(row_means(x), self.rows.weight)  # (N, H, C)
        columns = convolved_3(column_means(x), self.columns.weight)  # (N, W, C)
        return x * sigmoid_gate(broadcast_sum(rows, columns, x), doubled=self.identity_start)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: None) -> int:
        return 6 * channels


_PAPER: dict[str, Any] = {
    "family": "both",
    "paper": "Xu and Wan, arXiv:2403.01123",
    "year": 2024,
}


@register_block("ela_l", settings={"kernel": 7, "a_group": 8, "norms": 16}, **_PAPER)
@register_block("ela_s", settings={"kernel": 5, "a_group": 8, "norms": 16}, **_PAPER)
@register_block("ela_b", settings={"kernel": 7, "a_group": 1, "norms": 16}, **_PAPER)
@register_block("ela_t", settings={"kernel": 5, "a_group": 1, "norms": 32}, **_PAPER)
class EfficientLocalAttention(nn.Module):
    """y_cij = x_cij * f(r)_ci * f(s)_cj, f(z) = sigmoid(GN(conv1d_k z)).

    r (C, H) are the means of the rows, s (C, W) of the columns; both pass the same convolution,
    without bias, and the same group norm. Sizes: ela_t k = 5, a channel a group, 32 norms; ela_b
    k = 7, a channel a group, 16 norms; ela_s k = 5, ela_l k = 7, both 8 channels a group, 16 norms.
    Shapes: x, y (N, C, H, W), C a multiple of the norms.
    Parameters: 7C, 9C, 42C, 58C. Identity start: GN's weight and bias 0, both gates doubled.
    Source: Xu and Wan 2024 (ELA), arXiv:2403.01123. The authors gave no code: the sizes and the
    sharing are those of transcriptions by others.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel: int,
        a_group: int,
        norms: int,
        identity_start: bool = False,
    ) -> None:
        super().__init__()
        groups = channels // a_group
        self.conv = nn.Conv1d(
            channels, channels, kernel, padding=kernel // 2, groups=groups, bias=False
        )
        self.norm = nn.GroupNorm(norms, channels)
        self.identity_start = identity_start
        if identity_start:
            zero(self.norm)

    def forward(self, x: Tensor) -> Tensor:
        return scaled(x, self._gate(row_means(x)), self._gate(column_means(x)))

    def _gate(self, means: Tensor) -> Tensor:
        """(N, L, C) -> (N, L, C)."""
        logits = self.norm(convolved(means, self.conv).transpose(1, 2))
        return sigmoid_gate(logits, doubled=self.identity_start).transpose(1, 2)

    @staticmethod
    def params(
        channels: int,
        height: int,
        width: int,
        ratio: None,
        *,
        kernel: int,
        a_group: int,
        norms: int,
    ) -> int:
        return channels * a_group * kernel + 2 * channels

    @staticmethod
    def legal(
        channels: int,
        height: int,
        width: int,
        ratio: None,
        *,
        kernel: int,
        a_group: int,
        norms: int,
    ) -> bool:
        """With a channel a norm a strip may not be one value long: a norm needs two."""
        return channels % norms == 0 and (channels > norms or min(height, width) > 1)


@register_block(
    "ela_silu",
    family="both",
    paper="no paper; timm's, after Xu and Wan, arXiv:2403.01123",
)
class EfficientLocalSiluAttention(nn.Module):
    """y_cij = x_cij * sigmoid(silu(GN(k_c * r_c)))_i * sigmoid(silu(GN(l_c * s_c)))_j.

    r_c (H values) are the means of the rows of channel c, s_c (W values) of its columns; * is
    convolution with 7 weights, zeros beyond the ends, no bias; one group norm of one group an axis.
    Shapes: x, y (N, C, H, W); k, l (C, 1, 7). Parameters: 18C. Identity start: both norms' weights
    and biases 0, gates doubled.
    Source: timm's `EfficientLocalAttn`, which is not the paper's (see ela_b): convolution and
    norm are each axis's own, the norm is over all channels, and SiLU precedes the gate.
    """

    def __init__(self, channels: int, *, identity_start: bool = False) -> None:
        super().__init__()
        self.rows = nn.Conv1d(channels, channels, 7, padding=3, groups=channels, bias=False)
        self.columns = nn.Conv1d(channels, channels, 7, padding=3, groups=channels, bias=False)
        self.row_norm = nn.GroupNorm(1, channels)
        self.column_norm = nn.GroupNorm(1, channels)
        self.identity_start = identity_start
        if identity_start:
            zero(self.row_norm, self.column_norm)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.row_norm(convolved(row_means(x), self.rows).transpose(1, 2))  # (N, C, H)
        columns = self.column_norm(
            convolved(column_means(x), self.columns).transpose(1, 2)
        )  # (N, C, W)
        return scaled(x, self._gate(rows), self._gate(columns))

    def _gate(self, logits: Tensor) -> Tensor:
        """(N, C, L) -> (N, L, C)."""
        return sigmoid_gate(F.silu(logits), doubled=self.identity_start).transpose(1, 2)

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: None) -> int:
        return 18 * channels
