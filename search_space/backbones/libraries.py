"""Networks of other libraries by one name, `library/model`; a file each makes them."""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attnas.core import InputError, unknown

if TYPE_CHECKING:
    from torch import nn

KEY = "search_space.backbone"
LIBRARIES = ("timm", "torchvision", "transformers")


def library_network(
    name: str,
    arguments: Mapping[str, Any],
    *,
    classes: int | None,
    input_shape: tuple[int, ...],
) -> "nn.Module":
    """The network of `library/model`, with its head for so many outputs and its input as given.

    Args:
        arguments: those of the library's own function, and `pretrained` (false if not given) and
            `weights` (a file).
        classes: None leaves the model's own number.

    Raises:
        InputError: the library is not installed, or makes no such network; with the key.
    """
    library, _, model = name.partition("/")
    if library not in LIBRARIES:
        raise unknown("library", library, LIBRARIES).inside(key=KEY)
    rest = dict(arguments)
    pretrained, weights = bool(rest.pop("pretrained", False)), rest.pop("weights", None)
    if pretrained and weights is not None:
        raise InputError("give either 'pretrained: true' or 'weights: FILE'.", key=KEY)
    made = importlib.import_module(f"{__package__}.from_{library}")
    try:
        network = made.make(
            model, rest, pretrained=pretrained, classes=classes, input_shape=input_shape
        )
    except InputError as error:
        raise error.inside(key=KEY) from error
    except Exception as error:
        raise InputError(
            f"{library} cannot make '{model}': {type(error).__name__}: {error}",
            key=f"{KEY}.{library}",
        ) from error
    if weights is not None:
        from ..weights import load_weights

        load_weights(network, str(weights), key=f"{KEY}.weights")
    return network


def imported(library: str, module: str = "") -> Any:
    """The library, or one of its modules.

    Raises:
        InputError: it cannot be imported; the message says what to install.
    """
    try:
        return importlib.import_module(module or library)
    except Exception as error:
        raise InputError(
            f"cannot import {library}: {type(error).__name__}: {error}. "
            f"`pip install 'attnas[{library}]'` installs it.",
            key=library,
        ) from error
