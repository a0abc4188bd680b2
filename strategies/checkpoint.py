"""Trainings that go on from their last epoch."""

import copy
import io
import json
import pickle
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from attnas.results import replace_file
from attnas.search_space import AttnasError
from attnas.search_space.errors import first_line

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
class Checkpointed:
    """The epochs of a training, its state kept in `file` after each of them.

    `parts` are all that an epoch changes: the supernet, its optimizer, architecture weights.
    Their states are of tensors and plain values (`torch.load` with `weights_only`).
    Generators are none of them: random draws come from (seed, epoch, step). `facts`, plain
    values for JSON, say what the training depends on: a file of other facts is not used.
    """

    file: Path
    parts: Mapping[str, Stateful]
    facts: Mapping[str, Any]
    note: Callable[[str], None]

    def epochs(self, count: int) -> Iterator[int]:
        """The numbers of the epochs still to be done, 0 to count - 1 if none was.

        The state of the last finished one is put into `parts` first; the state is written when
        the next number is asked for, so an epoch that was broken off is done again.

        Raises:
            AttnasError: the file cannot be written.
        """
        facts = json.dumps({**self.facts, "epochs": count}, sort_keys=True)
        for number in range(self._restore(facts), count):
            yield number
            states = {name: part.state_dict() for name, part in self.parts.items()}
            save({"facts": facts, "done": number + 1, "parts": states}, self.file)

    def _restore(self, facts: str) -> int:
        """How many epochs the file has done; 0, with a note, if it cannot be used."""
        if not self.file.exists():
            return 0
        before = copy.deepcopy({name: part.state_dict() for name, part in self.parts.items()})
        try:
            kept = torch.load(self.file, map_location="cpu", weights_only=True)
            if kept["facts"] != facts:
                self.note(f"{self.file} is of other settings or data: it is not used.")
                return 0
            for name, part in self.parts.items():
                part.load_state_dict(kept["parts"][name])
            return int(kept["done"])
        except _DAMAGED as error:
            for name, part in self.parts.items():
                part.load_state_dict(before[name])
            why = first_line(error)
            self.note(f"{self.file} is damaged and not used ({why}): the training begins anew.")
            return 0


def save(content: Mapping[str, Any], file: Path) -> None:
    """Writes tensors and plain values; the file has the old or the new content at any time.

    Raises:
        AttnasError: it cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    write_whole(buffer.getvalue(), file)


def write_whole(content: bytes, file: Path) -> None:
    """Writes a file that has the old or the new content, whenever the process dies.

    Raises:
        AttnasError: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, content)
    except OSError as error:
        raise AttnasError(
            f"{file}: cannot be written: {error.strerror or error}. "
            "Mend that and run the same command again; what was finished is kept."
        ) from error
