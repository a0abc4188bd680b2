"""The epochs of a supernet's training, which goes on from the last one."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnas.core import writing
from attnas.search_space import Checkpoint, Stateful

__all__ = ["Checkpointed", "Stateful"]


@dataclass(frozen=True)
class Checkpointed:
    """The epochs of a training, its state kept in `file` after each of them.

    `parts` are all that an epoch changes: the supernet, its optimizer, architecture weights.
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
        checkpoint = Checkpoint(self.file, {**self.facts, "epochs": count})
        done = checkpoint.restore(self.parts, at_most=count, note=self.note)
        for number in range(len(done), count):
            yield number
            done.append(0.0)
            with writing(self.file, named=False):
                checkpoint.save(self.parts, done)
