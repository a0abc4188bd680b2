"""Which weights of a trained network stay as they are, and which are moved faster or slower.

Patterns name modules and parameters of the network as it was before blocks were inserted. Blocks
are never frozen by them; `new` stands for their parameters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from attnas.core import InputError
from attnas.search_space import matched, matching, plain_names

from .recipe import NEW


@dataclass(frozen=True)
class Frozen:
    """Names of frozen parameters, and of the batch norms that stay in eval mode with them."""

    parameters: tuple[str, ...]
    norms: tuple[str, ...]


def frozen(network: nn.Module, patterns: Sequence[str]) -> Frozen:
    """What the patterns freeze in a network: all parameters in what they name.

    A batch norm stays in eval mode, with the statistics that it has, if it lies in a module that is
    named or if all of its own parameters are.
    """
    names = {name: plain for name, plain in plain_names(network).items() if plain is not None}
    named = {path for pattern in patterns for path in matching(pattern, names.values())}
    inside = {name for name, plain in names.items() if _is_within(plain, named)}
    parameters = [name for name, _ in network.named_parameters() if name in inside]
    norms = [
        name
        for name, module in network.named_modules()
        if isinstance(module, _BatchNorm) and (name in inside or _all_own(module, name, inside))
    ]
    return Frozen(tuple(parameters), tuple(norms))


def freeze(network: nn.Module, patterns: Sequence[str]) -> list[nn.Module]:
    """Freezes parameters in place; the batch norms that are to be kept in eval mode."""
    if not patterns:
        return []
    found = frozen(network, patterns)
    for name in found.parameters:
        network.get_parameter(name).requires_grad_(False)
    return [network.get_submodule(name) for name in found.norms]


def learning_rate_scales(network: nn.Module, scales: Mapping[str, float]) -> dict[str, float]:
    """What the learning rate is multiplied by, by name, of the parameters that are named."""
    if not scales:
        return {}
    found = {}
    names = plain_names(network)
    known = [plain for plain in names.values() if plain is not None]
    named = {p: set(matching(p, known)) for p in scales if p != NEW}
    for name, _ in network.named_parameters():
        plain = names[name]
        if plain is None:
            found[name] = scales.get(NEW, 1.0)
            continue
        for pattern, paths in named.items():
            if _is_within(plain, paths):
                found[name] = scales[pattern]
    return found


def check_patterns(
    network: nn.Module, freeze: Sequence[str], scales: Mapping[str, float], *, key: str
) -> None:
    """Looks whether the patterns of a recipe fit the plain network.

    Raises:
        InputError: a pattern names nothing, all is frozen, or two patterns give one parameter
            different scales; with the place under `key`.
    """
    names = [name for name in plain_names(network) if name]
    places = {f"{key}.freeze[{i}]": pattern for i, pattern in enumerate(freeze)}
    places |= {f"{key}.learning_rate_scale.{p}": p for p in scales if p != NEW}
    for place, pattern in places.items():
        what = "the network has no module or parameter"
        matched(pattern, names, what=what, key=place)
    held = set(frozen(network, freeze).parameters) if freeze else set()
    parameters = [name for name, _ in network.named_parameters()]
    if held.issuperset(parameters):
        raise InputError(
            "all of the network is frozen: nothing would be trained. Leave a part out.",
            key=f"{key}.freeze",
        )
    given: dict[str, str] = {}
    for pattern in (p for p in scales if p != NEW):
        for name in _parameters_in(pattern, parameters, names):
            other = given.setdefault(name, pattern)
            if scales[other] != scales[pattern]:
                raise InputError(
                    f"'{other}' and '{pattern}' give {name} different scales. Let each parameter "
                    "be named by one of them.",
                    key=f"{key}.learning_rate_scale.{pattern}",
                )


def _parameters_in(pattern: str, parameters: Sequence[str], names: Sequence[str]) -> list[str]:
    paths = set(matching(pattern, names))
    return [name for name in parameters if _is_within(name, paths)]


def _is_within(name: str, paths: set[str]) -> bool:
    """Whether a name is one of the paths or lies inside one."""
    parts = name.split(".")
    return any(".".join(parts[:length]) in paths for length in range(1, len(parts) + 1))


def _all_own(module: nn.Module, name: str, inside: set[str]) -> bool:
    own = [f"{name}.{parameter}" for parameter, _ in module.named_parameters(recurse=False)]
    return bool(own) and all(parameter in inside for parameter in own)
