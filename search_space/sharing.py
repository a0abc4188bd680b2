"""Blocks that share their parameters: narrower ones take the first part of the widest's."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Tensor, nn


class _Loan(NamedTuple):
    """A parameter of that name and shape, which both modules call `attribute`."""

    name: str
    attribute: str
    shape: tuple[int, ...]
    borrower: nn.Module
    lender: nn.Module

    def tensor(self) -> Tensor:
        """The leading part of the lender's parameter: a view."""
        whole = getattr(self.lender, self.attribute)
        return whole if whole.shape == self.shape else whole[tuple(map(slice, self.shape))]


def _loan(block: nn.Module, lender: nn.Module, name: str) -> _Loan:
    path, _, attribute = name.rpartition(".")
    borrower = block.get_submodule(path)
    shape = tuple(getattr(borrower, attribute).shape)
    return _Loan(name, attribute, shape, borrower, lender.get_submodule(path))


class Borrower(nn.Module):
    """A block at one site whose parameters are the leading parts of another module's.

    It owns its buffers alone (batch-norm statistics belong to a site and a width); each
    parameter is `lender[name][:n_1, :n_2, ...]` of its own shape, so a hidden width h uses
    W1[:h], b1[:h] and W2[:, :h], and gradients reach the lender.
    """

    def __init__(self, block: nn.Module, lender: nn.Module) -> None:
        """`block` gives shapes and buffers; its own parameters are taken out of it."""
        super().__init__()
        self.block = block
        # The lender's modules are kept in a tuple, as they are not submodules of this one.
        named = block.named_parameters(remove_duplicate=False)
        self._loans = tuple(_loan(block, lender, name) for name, _ in named)
        self._take_back()

    def forward(self, x: Tensor) -> Tensor:
        # What torch.func.functional_call does; its checks take longer than most blocks.
        for loan in self._loans:
            loan.borrower._parameters[loan.attribute] = loan.tensor()  # type: ignore[assignment]
        try:
            return self.block(x)
        finally:
            self._take_back()

    def _take_back(self) -> None:
        for loan in self._loans:
            loan.borrower._parameters[loan.attribute] = None

    def parts(self) -> Iterator[tuple[nn.Parameter, tuple[int, ...]]]:
        """The lender's parameters, each with the shape of the leading part that is in use."""
        for loan in self._loans:
            yield getattr(loan.lender, loan.attribute), loan.shape

    def state(self) -> dict[str, Tensor]:
        """What a stand-alone block of this class and width loads to equal this one."""
        borrowed = {loan.name: loan.tensor().detach() for loan in self._loans}
        return {**borrowed, **self.block.state_dict()}


def widest(blocks: Sequence[nn.Module]) -> nn.Module:
    """The block of which all others, of the same class, are leading parts.

    Raises:
        ValueError: there is none: the class does not slice as it says.
    """
    found = max(blocks, key=_size)
    shapes = {name: tuple(p.shape) for name, p in found.named_parameters()}
    for other in blocks:
        for name, parameter in other.named_parameters():
            if name not in shapes or not _fits(tuple(parameter.shape), shapes[name]):
                raise ValueError(
                    f"{type(other).__name__} is declared sliceable, but its parameter '{name}' "
                    f"of shape {tuple(parameter.shape)} is no leading part of {shapes.get(name)}"
                )
    return found


def _fits(part: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    return len(part) == len(whole) and all(a <= b for a, b in zip(part, whole, strict=True))


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
