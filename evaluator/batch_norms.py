"""Batch norms whose running statistics a brief training leaves near their start."""

import math
from contextlib import suppress

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from attnas.search_space import recalibrate

from .batches import Batches
from .data import Data

_REMEMBERED = 0.01
_MOST_ITEMS, _LEAST_ITEMS, _BYTES = 2000, 64, 2**27


def settle(
    network: nn.Module, data: Data, batches: Batches, *, steps: int, small: bool = False
) -> None:
    """Estimates statistics anew that still remember more than 1 % of their start.

    A running mean moves by `momentum` a step, so after `steps` of them (1 - momentum)^steps of it
    is what it began with: of torch's 0.1 nothing after 44 steps, of the 0.01 of torchvision's
    MobileNetV3 nothing after 459. A network that is scored before has learned more than it shows.
    They become those of up to 2,000 training items without augmentation ("precise BN", Wu and
    Johnson 2021, arXiv:2105.07576, section 3). Norms in eval mode did not move and are left.
    """
    unsettled = [norm for norm in network.modules() if _remembers(norm, steps)]
    if not unsettled:
        return
    item = 4 * math.prod(data.input_shape)
    sample = data.train.first(max(_LEAST_ITEMS, min(_MOST_ITEMS, _BYTES // item)))
    with suppress(AssertionError):  # fvcore's, of a norm that is run twice: it stays as it was
        recalibrate(network, (x for x, _ in batches.scoring(sample, small=small)), unsettled)


def _remembers(norm: nn.Module, steps: int) -> bool:
    return (
        isinstance(norm, _BatchNorm)
        and norm.training
        and norm.track_running_stats
        and norm.momentum is not None  # a plain mean over all steps has no start
        and float((1 - norm.momentum) ** steps) > _REMEMBERED
    )
