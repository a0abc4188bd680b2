"""Objects of a Python program in place of what a config names: backbone, data, training."""

import copy
import hashlib
import os
import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from attnas.core import InputError, code_digest, held_objects, hold, importable_name
from attnas.core import hand_over as keep
from attnas.evaluator import pools_of

_PLACES = {
    "backbone": ("search_space", "backbone", "factory"),
    "data": ("data", "source"),
    "train": ("training", "function"),
}


def hand_over(*, backbone: Any = None, data: Any = None, train: Any = None) -> dict[str, str]:
    """Keeps objects in this process, so that runs that were made with them can be gone on with.

    `attnas.search` does so itself; `confirm`, `train` and `build` need it in a new process. An
    object is known by what it is: a function or class by its source, a network by its modules
    and weights, data by their contents. What can be imported is named, not kept.

    Args:
        backbone: a function or class that makes the network (as `factory` in a config), or a
            network, which is copied with its weights.
        data: a pair (inputs, targets), a torch dataset, a mapping of splits to either, or
            `attnas.evaluator.Pools`.
        train: a training function (as `training.function` in a config).

    Returns:
        the names that a config has for them, by argument.

    Raises:
        InputError: an object is not of its kind.
    """
    names = {}
    if backbone is not None:
        names["backbone"] = _backbone(backbone)
    if data is not None:
        pools = pools_of(data)
        names["data"] = keep(lambda: pools, pools.digest(), "data")
    if train is not None:
        names["train"] = _function(train, "train")
    return names


def with_objects(content: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The config with these names in their places.

    Raises:
        InputError: it names something else there.
    """
    filled = copy.deepcopy(dict(content))
    for argument, name in names.items():
        *sections, last = _PLACES[argument]
        place = filled
        for section in sections:
            inner = place.get(section)
            place[section] = inner = {} if inner is None else inner
            if not isinstance(inner, dict):
                raise InputError("must be a section here.", key=section)
            place = inner
        others = ("name", last) if argument == "backbone" else (last,)
        taken = [key for key in others if place.get(key) not in (None, name)]
        if taken:
            key = ".".join([*sections, taken[0]])
            raise InputError(f"leave it out: '{argument}' is handed over as an object.", key=key)
        place[last] = name
    return filled


@dataclass(frozen=True)
class Parcel:
    """Objects for another process, and where it finds the modules that they are from."""

    path: tuple[str, ...]
    pickled: bytes

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Parcel":
        """The objects that the config names."""
        from ray import cloudpickle

        text = repr(config)
        used = {name: thing for name, thing in held_objects().items() if name in text}
        return cls(tuple(map(os.path.abspath, sys.path)), cloudpickle.dumps(used))

    def unpack(self) -> None:
        """Makes this process hold them."""
        sys.path += [folder for folder in self.path if folder not in sys.path]
        hold(pickle.loads(self.pickled))


def _backbone(thing: Any) -> str:
    if isinstance(thing, nn.Module):
        network = copy.deepcopy(thing)
        return keep(lambda: copy.deepcopy(network), _network_digest(thing), type(thing).__name__)
    return _function(thing, "backbone")


def _function(thing: Any, argument: str) -> str:
    if not callable(thing):
        raise InputError(f"must be callable, not a {type(thing).__name__}.", key=argument)
    label = getattr(thing, "__name__", type(thing).__name__).strip("<>")
    return importable_name(thing) or keep(thing, code_digest(thing), label)


def _network_digest(network: nn.Module) -> str:
    """Of its classes, its modules and its weights."""
    digest = hashlib.sha256()
    kinds = {type(module) for module in network.modules()}
    for kind in sorted(kinds, key=lambda k: (k.__module__, k.__qualname__)):
        digest.update(f"{kind.__module__}.{kind.__qualname__}".encode())
        if not kind.__module__.startswith("torch."):
            digest.update(code_digest(kind).encode())
    digest.update(repr(network).encode())
    for name, value in network.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
