"""Global context attention, multiplied (gc) or added (gca)."""

import torch.nn.functional as F
from torch import Tensor, nn

from .gates import sigmoid_gate, zero
from .positions import channel_sums, position_sums
from .registry import hidden_width, register_block


@register_block(
    "gca",
    ratios=(2, 4, 8, 16, 32),
    settings={"added": True},
    family="channel",
    ratio_means="bottleneck width C / r",
    paper="Cao et al., arXiv:1904.11492",
    year=2019,
)
@register_block(
    "gc",
    ratios=(2, 4, 8, 16, 32),
    family="channel",
    ratio_means="bottleneck width C / r",
    paper="Cao et al., arXiv:1904.11492",
    year=2019,
)
class GlobalContext(nn.Module):
    """y = x * sigmoid(t), t = W2 relu(LN(W1 c + b1)) + b2, c = sum_p softmax_p(w . x_p + b) x_p.

    As gca, the paper's first choice, y = x + t: added, but to be placed wherever a gate can be.
    Shapes: x, y (N, C, H, W); w (1, C); W1 (h, C); W2 (C, h); h = hidden_width(C, ratio).
    Parameters: 2Ch + 3h + 2C + 1; b is among them as in the references, though a constant
    changes no softmax. Identity start: W2 = 0, b2 = 0, gate doubled.
    Source: Cao et al. 2019 (GCNet), arXiv:1904.11492, section 3.3, the scaling and the adding
    fusion; w starts as in the authors' code.
    """

    sliceable = True

    def __init__(
        self, channels: int, ratio: int, *, added: bool = False, identity_start: bool = False
    ) -> None:
        super().__init__()
        hidden = hidden_width(channels, ratio)
        self.score = nn.Linear(channels, 1)
        self.reduce = nn.Linear(channels, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.expand = nn.Linear(hidden, channels)
        self.added = added
        self.identity_start = identity_start
        nn.init.kaiming_normal_(self.score.weight, nonlinearity="relu")
        if identity_start:
            zero(self.expand)

    def forward(self, x: Tensor) -> Tensor:
        scores = channel_sums(self.score.weight, x) + self.score.bias  # (N, 1, H W)
        context = position_sums(scores.softmax(2), x)  # (N, C)
        logits = self.expand(F.relu(self.norm(self.reduce(context))))  # (N, h) -> (N, C)
        if self.added:
            return x + logits[:, :, None, None]
        return x * sigmoid_gate(logits, doubled=self.identity_start)[:, :, None, None]

    @staticmethod
    def params(channels: int, height: int, width: int, ratio: int, *, added: bool = False) -> int:
        hidden = hidden_width(channels, ratio)
        return 2 * channels * hidden + 3 * hidden + 2 * channels + 1
