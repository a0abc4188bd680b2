"""What the trainings of a run began with, so that another one can begin with the same."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .run import Run

INIT = "init"
PRETRAINED = "search_space.backbone.pretrained"
WEIGHTS = "search_space.backbone.weights"
SUPERNET_FILE = "supernet.pt"


def start_of(run: "Run") -> dict[str, Any]:
    """The config's `key` that said it and its `value`, as given, with the SHA-256 of the weights.

    `init` is `scratch`, `supernet` or a file, the keys `pretrained` and `weights` are those of a
    library's model. A supernet has the `file` that its weights are in, and the `options` of its
    decisions, without which they cannot be read.
    """
    init = run.config.get("init")
    if init == "supernet":
        file = strategy_folder(run.checkpoints, run.facts["strategy"]["name"]) / SUPERNET_FILE
        return {
            "key": INIT,
            "value": init,
            "file": str(file),
            "sha256": _digest(file),
            "options": dict(run.facts["options"]),
        }
    if init not in (None, "scratch"):
        label = str(run.facts.get("start", ""))
        return {"key": INIT, "value": init, "sha256": label.removeprefix("sha256:") or None}
    arguments = dict(run.backbone.arguments)
    digest = run.facts.get("backbone_weights")
    if arguments.get("weights") is not None:
        return {"key": WEIGHTS, "value": arguments["weights"], "sha256": digest}
    if arguments.get("pretrained"):
        return {"key": PRETRAINED, "value": True, "sha256": digest}
    return {"key": INIT, "value": "scratch"}


def strategy_folder(checkpoints: Path, strategy: str) -> Path:
    """Where a strategy that trains something of its own keeps that."""
    return checkpoints / strategy.replace(":", ".")


def _digest(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None
