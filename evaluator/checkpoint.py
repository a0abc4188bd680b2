"""Where a training that is to go on leaves its state."""

import hashlib
import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """The file of one training, and the facts that say which training that is.

    `facts` are JSON values (architecture, seed, recipe, ...); they name the file and stand in
    it. Any process that sees the folder may go on from it. Nothing in it is pickled: it is
    read with `torch.load(weights_only=True)`.
    """

    folder: Path
    facts: Mapping[str, Any]

    @property
    def path(self) -> Path:
        digest = hashlib.sha256(self._facts_text().encode()).hexdigest()
        return self.folder / f"{digest[:32]}.pt"

    def save(
        self, network: nn.Module, optimizer: torch.optim.Optimizer, history: list[float]
    ) -> bool:
        """Writes the state after `len(history)` epochs; a reader sees the old file or this one.

        False, and nothing is written, where the disk refuses: a checkpoint saves time, and a
        training must not fail for lack of one.
        """
        content = {
            "format": FORMAT,
            "facts": self._facts_text(),
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "history": history,
        }
        partial = self.path.with_suffix(f".{os.getpid()}.partial")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            torch.save(content, partial)
            os.replace(partial, self.path)
        except (OSError, RuntimeError):  # torch's writer raises the latter on a full disk
            _remove(partial)
            return False
        return True

    def restore(
        self, network: nn.Module, optimizer: torch.optim.Optimizer, *, at_most: int
    ) -> list[float]:
        """Puts the stored state into both; the training loss of each epoch that was done.

        Empty, and both are left as they are, if there is no such file, it is damaged or of
        another training, or it holds more than `at_most` epochs.
        """
        content = self._read(network.state_dict())
        if content is None or not 1 <= len(content["history"]) <= at_most:
            return []
        network.load_state_dict(content["network"])
        optimizer.load_state_dict(content["optimizer"])
        return [float(loss) for loss in content["history"]]

    def delete(self) -> None:
        """Removes the file if there is one."""
        _remove(self.path)

    def _facts_text(self) -> str:
        return json.dumps(self.facts, sort_keys=True)

    def _read(self, expected: Mapping[str, Any]) -> dict[str, Any] | None:
        """The file's content if it is whole and of this training."""
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError):
            return None  # none there, or cut off, or damaged
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            return None
        if content.get("facts") != self._facts_text():
            return None
        return content if _shapes(content["network"]) == _shapes(expected) else None


def _shapes(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: v.shape if isinstance(v, Tensor) else type(v) for name, v in state.items()}


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # left behind; the next writer of this training replaces it
