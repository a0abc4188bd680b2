"""What the patterns of a recipe name in the plain network."""

from collections.abc import Iterator, Mapping, Sequence

import torch

from attnas.evaluator import NEW, Recipe, frozen
from attnas.search_space import Backbone, matching

_SHOWN = 6


def pattern_notes(backbone: Backbone, recipe: Recipe) -> list[str]:
    """A sentence for each pattern of the recipe that names several modules or parameters, and for
    what is frozen, with the batch norms that stay in eval mode."""
    if not recipe.freeze and not recipe.learning_rate_scale:
        return []
    with torch.random.fork_rng(devices=[]):
        network = backbone.network()
    parameters = [name for name, _ in network.named_parameters()]
    paths = [*(path for path, _ in network.named_modules()), *parameters]
    notes = list(_several(dict.fromkeys(recipe.freeze, "training.freeze"), paths))
    scaled = (pattern for pattern in recipe.learning_rate_scale if pattern != NEW)
    notes += _several(dict.fromkeys(scaled, "training.learning_rate_scale"), paths)
    if recipe.freeze:
        found = frozen(network, recipe.freeze)
        notes.append(f"frozen: {len(found.parameters)} of {len(parameters)} parameters")
        if found.norms:
            notes.append(f"batch norms that stay in eval mode: {some(found.norms)}")
    return notes


def _several(patterns: Mapping[str, str], paths: Sequence[str]) -> Iterator[str]:
    for pattern, key in patterns.items():
        found = matching(pattern, paths)
        if len(found) > 1:
            yield f"{key}: '{pattern}' names {len(found)}: {some(found)}"


def some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
