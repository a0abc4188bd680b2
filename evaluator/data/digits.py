"""The embedded default: scikit-learn's handwritten digits."""

import torch

from .pool import Pool, Pools
from .registry import register_source


@register_source("digits")
def digits() -> Pools:
    """1,797 images of 1x8x8 in ten classes, grey levels 0 to 16 scaled to 0 to 255.

    Real images without a download, but easy ones: right for demonstrations and tests, wrong
    for claims about attention. Source: Alpaydin and Kaynak 1998, doi:10.24432/C50P49, test part.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    grey = torch.from_numpy(bunch.images).mul(255 / 16).round().to(torch.uint8)
    labels = torch.from_numpy(bunch.target).to(torch.int64)
    return Pools(
        Pool(grey[:, None], labels), classes=tuple(str(name) for name in bunch.target_names)
    )
