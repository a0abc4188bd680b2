"""What modules get and give while a network runs, and what would be seen where blocks stand."""

from typing import Any, NamedTuple

from torch import Tensor, nn

from .channel_axes import first_tensor


class Seen(NamedTuple):
    """A tensor that passed: its shape and id, or another type's name and no id."""

    shape: tuple[int, ...] | str
    tensor: int


def seen(value: Any) -> Seen:
    if isinstance(value, Tensor):
        return Seen(tuple(value.shape), id(value))
    return Seen(type(value).__name__, 0)


class Probe(nn.Module):
    """Takes the place of a block, passes its input on and notes what it was."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Seen] = []
        self.alive: list[Any] = []  # so that no two tensors have one id

    def forward(self, x: Any) -> Any:
        self.seen.append(seen(x))
        self.alive.append(x)
        return x


class Watch:
    """Notes what a module gets as its first argument and what it gives."""

    def __init__(self, module: nn.Module) -> None:
        self.got: list[Seen] = []
        self.gave: list[Seen] = []
        self.first: list[Seen] = []
        """What it gives, of several results the first, which a block behind it gets."""
        self.alive: list[Any] = []
        self._hook = module.register_forward_hook(self._note)

    def _note(self, _: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        self.got.append(seen(arguments[0]) if arguments else Seen("keyword argument", 0))
        self.gave.append(seen(output))
        first = first_tensor(output)
        self.first.append(seen(output if first is None else first))
        self.alive += [*arguments[:1], output]

    @property
    def keeps_shape(self) -> bool:
        """Whether the module was run once and gave the shape that it got."""
        if len(self.got) != 1:
            return False
        shape = self.got[0].shape
        return isinstance(shape, tuple) and shape == self.gave[0].shape

    def remove(self) -> None:
        self._hook.remove()
