"""Networks as programs of torch.export."""

from pathlib import Path

import torch
from torch import nn

from attnas.core import AttnasError, first_line

from .modes import evaluating


def export_program(network: nn.Module, input_shape: tuple[int, ...], path: str | Path) -> Path:
    """Writes a network in eval mode with its weights as a `.pt2`, which torch alone can run.

    The batch is a free dimension: `torch.export.load(path).module()(inputs)`. The modes of the
    network's modules are left as they were.

    Raises:
        AttnasError: torch cannot export the network, or the file cannot be written.
    """
    example = torch.zeros(2, *input_shape)
    try:
        with evaluating(network):
            program = torch.export.export(
                network, (example,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},)
            )
        with Path(path).open("wb") as file:
            torch.export.save(program, file)
    except OSError as error:
        raise AttnasError(f"{path}: cannot be written: {error.strerror or error}.") from error
    except Exception as error:  # torch.export has no common class for what it cannot do
        raise AttnasError(f"torch.export cannot write the network: {first_line(error)}") from error
    return Path(path)
