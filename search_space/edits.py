"""What an architecture changes in the built network of its backbone."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn

Mode = Literal["at", "before", "after", "replace", "remove"]


@dataclass(frozen=True)
class Edit:
    """One change of a built network, at the module of a path.

    `at` puts a module into an empty slot, `before` and `after` around the one that is there,
    `replace` in its place; `remove` takes the whole module away: it then returns its first
    argument. `what` is equal for modules that are equal
    up to their weights. `make(identity_start)` gives the module; one that is `Constructed` can be
    written as source too.
    """

    mode: Mode
    path: str
    what: Hashable
    make: "Callable[[bool], nn.Module]" = field(compare=False, repr=False)

    def inside(self, path: str) -> bool:
        """Whether it changes something within the module of that path."""
        return self.path == path or self.path.startswith(f"{path}.")


def kept(edits: Iterable[Edit]) -> tuple[Edit, ...]:
    """The edits but for those inside of what another one removes."""
    edits = tuple(edits)
    removed = [edit.path for edit in edits if edit.mode == "remove"]
    if not removed:
        return edits
    return tuple(
        edit
        for edit in edits
        if edit.mode == "remove" or not any(edit.inside(path) for path in removed)
    )
