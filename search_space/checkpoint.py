"""The state of a training that is to go on: a trial's, a supernet's, a confirmation's."""

import copy
import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from attnas.core import first_line, replace_file

FORMAT = 2

_DAMAGED = (
    OSError,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


class Stateful(Protocol):
    """What torch's modules and optimizers are: tensors and plain values in, the same out."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any, /) -> Any: ...


@dataclass(frozen=True)
class Checkpoint:
    """The file of one training, and the facts that say which training that is.

    `facts` are JSON values (architecture, seed, recipe, ...); a file of other facts is not used.
    Any process that sees the file may go on from it. Nothing in it is pickled: it is read with
    `torch.load(weights_only=True)`.
    """

    file: Path
    facts: Mapping[str, Any]

    @classmethod
    def within(cls, folder: Path, facts: Mapping[str, Any]) -> "Checkpoint":
        """The checkpoint in a folder that has one for each training, named by its facts."""
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return cls(folder / f"{digest[:32]}.pt", facts)

    def save(self, parts: Mapping[str, Stateful], losses: Sequence[float]) -> None:
        """Writes the state after `len(losses)` epochs; a reader sees the old file or this one.

        `parts` are all that an epoch changes: network, optimizer, and the like.

        Raises:
            OSError: it cannot be written.
        """
        content = {
            "format": FORMAT,
            "facts": self._facts_text,
            "parts": {name: part.state_dict() for name, part in parts.items()},
            "losses": [float(loss) for loss in losses],
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self.file, buffer.getvalue())

    def restore(
        self,
        parts: Mapping[str, Stateful],
        *,
        at_most: int,
        note: Callable[[str], None] = lambda _: None,
    ) -> list[float]:
        """Puts the stored state into the parts; the loss of each epoch that was done.

        Empty, and the parts are left as they are, if there is no such file or it holds more than
        `at_most` epochs, or, with a note, if it is damaged or of another training.
        """
        if not self.file.exists():
            return []
        before = copy.deepcopy({name: part.state_dict() for name, part in parts.items()})
        try:
            kept = torch.load(self.file, map_location="cpu", weights_only=True)
            if kept.get("format") != FORMAT or kept["facts"] != self._facts_text:
                note(f"{self.file} is of other settings or data: it is not used.")
                return []
            losses = [float(loss) for loss in kept["losses"]]
            if not 1 <= len(losses) <= at_most:
                return []
            for name, part in parts.items():
                part.load_state_dict(kept["parts"][name])
            return losses
        except _DAMAGED as error:
            for name, part in parts.items():
                part.load_state_dict(before[name])
            why = first_line(error)
            note(f"{self.file} is damaged and not used ({why}): the training begins anew.")
            return []

    def delete(self) -> None:
        """Removes the file if there is one and it can be removed."""
        try:
            self.file.unlink(missing_ok=True)
        except OSError:
            return  # left behind; the next writer of this training replaces it

    @property
    def _facts_text(self) -> str:
        return json.dumps(self.facts, sort_keys=True)


def read_parts(file: Path) -> Mapping[str, Any]:
    """The states of the parts in a checkpoint, whatever training it is of.

    Raises:
        FileNotFoundError: there is no such file.
        Exception: of any kind, if it is damaged.
    """
    kept: Mapping[str, Any] = torch.load(file, map_location="cpu", weights_only=True)["parts"]
    return kept
