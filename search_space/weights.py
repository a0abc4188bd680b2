"""Trained weights from a file into a network whose head may have another size."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from attnas.core import InputError

_log = logging.getLogger(__name__)

_INSIDE = ("state_dict_ema", "model_ema", "ema", "state_dict", "model", "module", "network")
"""Entries in which training programs keep a state dict, the averaged weights first."""

_PREFIX = re.compile(r"(module|model|_orig_mod|network|backbone)\.")


def load_weights(network: nn.Module, path: str, *, key: str) -> None:
    """Loads a state dict (safetensors, or `torch.save`'s), a prefix before all names taken off.

    Layers of another shape are left as they are, with a note.

    Raises:
        InputError: there is no such file, it holds no state dict, or it is another network's.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"there is no file '{path}'.", key=key)
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(file)
        else:
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(
            f"'{path}' holds no weights alone: {type(error).__name__}. In the program that wrote "
            "it: torch.save(network.state_dict(), 'weights.pt').",
            key=key,
        ) from error
    try:
        left_out = load_state(network, _state(content))
    except ValueError as error:
        raise InputError(f"'{path}': {error}.", key=key) from error
    if left_out:
        _log.info("%s: of another shape, so left as initialised: %s.", path, ", ".join(left_out))


def load_state(network: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Loads what fits; gives the names of what has another shape or is not in the state.

    Raises:
        ValueError: less than half of the network's parameters are in it.
    """
    own = network.state_dict()
    fitted = {_matching(name, own): tensor for name, tensor in state.items()}
    fitting = {
        name: tensor for name, tensor in fitted.items()
        if name in own and own[name].shape == tensor.shape
    }  # fmt: skip
    names = [name for name, _ in network.named_parameters()]
    lacking = [name for name in names if name not in fitting]
    if 2 * len(lacking) > len(names):
        raise ValueError(
            f"has {len(names) - len(lacking)} of the {len(names)} parameters of the "
            f"{type(network).__name__}, such as not '{lacking[0]}'"
        )
    network.load_state_dict(fitting, strict=False)
    return lacking


def _matching(name: str, own: Mapping[str, Tensor]) -> str:
    """The network's name of an entry: without a prefix, or with that of a wrapper."""
    while name not in own and (found := _PREFIX.match(name)):
        name = name[found.end() :]
    return name if name in own or f"model.{name}" not in own else f"model.{name}"


def _state(content: Any) -> Mapping[str, Tensor]:
    if isinstance(content, Mapping):
        for entry in _INSIDE:
            if isinstance(content.get(entry), Mapping):
                return _state(content[entry])
        if content and all(isinstance(value, Tensor) for value in content.values()):
            return content
    raise ValueError("holds no state dict: names with tensors")
