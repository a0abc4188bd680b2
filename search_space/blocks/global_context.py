"""Global context attention with a multiplied gate (gc)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .gates import sigmoid_gate, zero
from .registry import hidden_width, register_block


@register_block("gc", ratios=(2, 4, 8, 16, 32))
class GlobalContext(nn.Module):
    """y = x * sigmoid(W2 relu(LN(W1 c + b1)) + b2), c = sum_p softmax_p(w . x_p + b) x_p.

    Shapes: x, y (N, C, H, W); w (1, C); W1 (h, C); W2 (C, h); h = hidden_width(C, ratio).
    Parameters: 2Ch + 3h + 2C + 1; b is among them as in the references, though a constant
    changes no softmax. Identity start: W2 = 0, b2 = 0, gate doubled.
    Source: Cao et al. 2019 (GCNet), arXiv:1904.11492, section 3.3, the scaling fusion; w starts
    as in the authors' code.
    """

    sliceable = True

    def __init__(self, channels: int, ratio: int, *, identity_start: bool = False) -> None:
        super().__init__()
        hidden = hidden_width(channels, ratio)
        self.score = nn.Linear(channels, 1)
        self.reduce = nn.Linear(channels, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.expand = nn.Linear(hidden, channels)
        self.identity_start = identity_start
        nn.init.kaiming_normal_(self.score.weight, nonlinearity="relu")
        if identity_start:
            zero(self.expand)

    def forward(self, x: Tensor) -> Tensor:
        positions = x.flatten(2)  # (N, C, H W)
        scores = torch.matmul(self.score.weight, positions) + self.score.bias  # (N, 1, H W)
        context = torch.matmul(positions, scores.softmax(2).transpose(1, 2)).squeeze(2)  # (N, C)
        logits = self.expand(F.relu(self.norm(self.reduce(context))))  # (N, h) -> (N, C)
        return x * sigmoid_gate(logits, doubled=self.identity_start)[:, :, None, None]

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int) -> int:
        hidden = hidden_width(channels, ratio)
        return 2 * channels * hidden + 3 * hidden + 2 * channels + 1
