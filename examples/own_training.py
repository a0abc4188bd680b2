"""A training of one's own: noise is removed from images, which is no task of ours.

`examples/own_training.yaml` searches with it. A training function takes what it needs of
`network`, `epochs`, `schedule_epochs`, `seed`, `device`, `split`, `data`, `checkpoint` and
`on_epoch`, and returns metrics, or a pair of metrics and scores of the first one's items. With the
scores `confirm` can tell a gain from luck, with a checkpoint `halving` can go on.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

NOISE = 0.3  # where grey levels go from 0 to 1
SPLITS = {"train": slice(0, 1200), "validation": slice(1200, 1500), "test": slice(1500, 1797)}


def denoiser(width: int = 12, units: int = 3) -> nn.Module:
    """Predicts the noise, which is taken off (Zhang et al. 2017, arXiv:1608.03981)."""

    class Denoiser(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(1, width, 3, padding=1)
            self.body = nn.Sequential(
                *(
                    nn.Sequential(nn.ReLU(), nn.Conv2d(width, width, 3, padding=1))
                    for _ in range(units)
                )
            )
            self.head = nn.Conv2d(width, 1, 3, padding=1)

        def forward(self, noisy: Tensor) -> Tensor:
            return noisy - self.head(self.body(self.stem(noisy)))

    return Denoiser()


def train(
    network: nn.Module,
    epochs: int,
    seed: int,
    split: str,
    checkpoint: Path | None,
    on_epoch: Callable[[int, float], None],
) -> tuple[dict[str, float], np.ndarray]:
    """Trains from where the checkpoint stops; the peak signal-to-noise ratio in dB, by image."""
    clean, noisy = images(seed, "train")
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    file = None if checkpoint is None else checkpoint / "last.pt"
    done = 0
    if file is not None and file.exists():
        kept = torch.load(file, weights_only=True)
        network.load_state_dict(kept["network"])
        optimizer.load_state_dict(kept["optimizer"])
        done = kept["epochs"]
    for epoch in range(done, epochs):
        order = torch.randperm(len(clean), generator=torch.Generator().manual_seed(epoch))
        for batch in order.split(64):
            loss = F.mse_loss(network(noisy[batch]), clean[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        on_epoch(epoch + 1, loss.item())
    if file is not None:
        state = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save({**state, "epochs": epochs}, file)
    clean, noisy = images(seed, split)
    network.eval()
    with torch.inference_mode():
        error = (network(noisy) - clean).square().mean((1, 2, 3))
    psnr = -10 * error.log10()
    return {"psnr": psnr.mean().item()}, psnr.numpy()


def images(seed: int, split: str) -> tuple[Tensor, Tensor]:
    """Clean and noisy digits (N, 1, 8, 8) of a split, the noise the same for every network."""
    levels = load_digits().images[SPLITS[split]] / 16
    clean = torch.from_numpy(levels).float()[:, None]
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
    return clean, clean + NOISE * noise
