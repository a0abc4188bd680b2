"""Where blocks can be placed in a network that does not say so: found by running it once.

Units are modules that a container repeats, with two layers of weights at least; of nested ones
the innermost. Stages are their containers, or where there is one container only, maps of one size.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn.modules import activation

from attnas.core import InputError

from .discovered_sites import sites_of
from .known_attention import is_known_attention
from .recording import Record, Recording
from .stages import StagePattern, join

MOST_STAGES = 12
_NUMBERED = re.compile(r"(.*?)(\d+)")
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_ACTIVATIONS = tuple(
    kind
    for name, kind in vars(activation).items()
    if name in activation.__all__ and name != "MultiheadAttention"
)


@dataclass(frozen=True)
class Discovery:
    """The stages that were found, and what was left out and why, a sentence each."""

    stages: tuple[StagePattern, ...]
    notes: tuple[str, ...] = ()


def discover(network: nn.Module, input_shape: tuple[int, ...], *, key: str) -> Discovery:
    """The stages of a network, which is used up by it.

    Raises:
        InputError: the network does not run on such inputs, or nothing repeated is found in it.
    """
    recording = Recording(network, input_shape, key=key)
    units, notes = _used(network, _units(network, recording), recording)
    stages: list[StagePattern] = []
    for name, members in _named(network, _grouped(units, recording)):
        sites, left_out = sites_of([unit.path for unit in members], recording)
        notes += [f"{name}: {note}" for note in left_out]
        if sites:
            paths = [unit.path for unit in members]
            stages.append(StagePattern(name, _globs(paths, network), sites))
        else:
            notes.append(f"{name}: no block can be placed at {members[0].path} and its like")
    if not stages:
        raise InputError(
            f"no places for blocks were found in the {type(network).__name__}. Give its stages: "
            "the module paths of units and sites.",
            key=key,
        )
    if left := _not_offered(recording, units, stages):
        notes.append(f"attention that no site replaces: {', '.join(left)}")
    return Discovery(tuple(stages), tuple(notes))


def _not_offered(
    recording: Recording, units: Sequence[Record], stages: Sequence[StagePattern]
) -> list[str]:
    """The known attention of the network that is at none of the sites."""
    replaced = {
        insertion.path
        for stage in stages
        for _, insertion in stage.sites
        if insertion.mode == "replace"
    }
    offered = {join(unit.path, path) for unit in units for path in replaced}
    known = [p for p, r in recording.records.items() if is_known_attention(r.module)]
    outermost = [p for p in known if not any(_within(p, other) for other in known)]
    return [path for path in outermost if path not in offered]


def _units(network: nn.Module, recording: Recording) -> list[Record]:
    """The units in the order in which they run."""
    records = recording.records
    found = {record.path for record in _repeated(network, recording)}
    found = {path for path in found if not any(_within(other, path) for other in found)}
    parts = {
        type(record.module)
        for record in records.values()
        if any(_within(record.path, path) for path in found)
    }  # of units, so no units where they are repeated elsewhere
    found = {path for path in found if type(records[path].module) not in parts}
    kinds = {type(records[path].module) for path in found}
    for path, record in records.items():
        known = type(record.module) in kinds and record.gives_map and not _in_stem(path)
        if known and not any(_within(a, path) or _within(path, a) or a == path for a in found):
            found.add(path)
    if not found:
        found = _of_repeated_kind(records.values())
    if not found:
        found = {r.path for r in records.values() if isinstance(r.module, _ACTIVATIONS)}
        found = {path for path in found if records[path].gives_map}
    return sorted((records[path] for path in found), key=lambda record: record.order)


def _used(
    network: nn.Module, units: list[Record], recording: Recording
) -> tuple[list[Record], list[str]]:
    """The units without the last one if only its class token is used: blocks would do nothing."""
    layout = recording.layout(units[-1], units[-1].path) if units else None
    if layout is None or not layout.prefix:
        return units, []

    def change(_: nn.Module, __: Any, output: Any) -> Any:
        whole = isinstance(output, tuple)
        tokens = (output[0] if whole else output).clone()
        tokens[:, layout.prefix :] = 1.0
        return (tokens, *output[1:]) if whole else tokens

    hook = units[-1].module.register_forward_hook(change)
    changed = recording.run(network)
    hook.remove()
    if torch.equal(changed, recording.run(network)):
        return units[:-1], [f"{units[-1].path}: of what it gives only the class token is used"]
    return units, []


def _repeated(network: nn.Module, recording: Recording) -> Iterable[Record]:
    for path, parent in network.named_modules():
        groups: dict[str, list[Record]] = defaultdict(list)
        for name, child in parent.named_children():
            numbered = _NUMBERED.fullmatch(name)
            record = recording.records.get(f"{path}.{name}" if path else name)
            if numbered and record is not None and record.module is child:
                groups[numbered[1]].append(record)
        for group in groups.values():
            if isinstance(parent, _CONTAINERS) or _is_chain(group):
                yield from filter(_is_unit, group)


def _is_chain(group: Sequence[Record]) -> bool:
    """Whether modules beside others run one behind the other and give one shape."""
    if len(group) < 2 or not all(record.gives_map for record in group):
        return False
    return all(b.got_id == a.gave_id and b.gave == a.gave for a, b in pairwise(group))


def _is_unit(record: Record) -> bool:
    module = record.module
    if not record.gives_map or type(module) is nn.Sequential or _in_stem(record.path):
        return False
    return _layers(module) >= 2 and not is_known_attention(module)


def _layers(module: nn.Module) -> int:
    """How many layers with a matrix of weights it has."""
    weights = (getattr(inner, "weight", None) for inner in module.modules())
    return sum(isinstance(w, nn.Parameter) and w.dim() >= 2 for w in weights)


def _of_repeated_kind(records: Iterable[Record]) -> set[str]:
    """The outermost modules of classes that occur twice at least."""
    by_kind: dict[type, list[str]] = defaultdict(list)
    for record in filter(_is_unit, records):
        if not isinstance(record.module, _CONTAINERS):
            by_kind[type(record.module)].append(record.path)
    found = {path for paths in by_kind.values() if len(paths) > 1 for path in paths}
    return {path for path in found if path and not any(_within(path, other) for other in found)}


def _grouped(units: Sequence[Record], recording: Recording) -> list[list[Record]]:
    """By container; those of one container, or of too many, by the size of their maps."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for unit in units:
        groups[unit.path.rpartition(".")[0]].append(unit)
    if 1 < len(groups) <= MOST_STAGES and len(groups) < len(units):
        return list(groups.values())
    found: list[list[Record]] = []
    last = None
    for unit in units:
        layout = recording.layout(unit, unit.path)
        sizes = layout and layout.sizes(unit.gave, recording.axes.input_shape)
        size = sizes[1:] if sizes else unit.gave
        if size != last:
            found.append([])
        found[-1].append(unit)
        last = size
    return found


def _named(
    network: nn.Module, groups: Sequence[list[Record]]
) -> Iterable[tuple[str, list[Record]]]:
    """The groups with the names of their containers if these are plain, else numbered."""
    own = [group[0].path.rpartition(".")[0] for group in groups]
    plain = all(name.isidentifier() for name in own) and len(set(own)) == len(own)
    for number, (name, group) in enumerate(zip(own, groups, strict=True), start=1):
        yield (name if plain else f"stage{number}"), group


def _globs(paths: Sequence[str], network: nn.Module) -> tuple[str, ...]:
    """`layer1.*` where the units are all modules of their containers, else their paths."""
    parents = dict.fromkeys(path.rpartition(".")[0] for path in paths)
    members = [
        [f"{parent}.{name}" for name, _ in network.get_submodule(parent).named_children()]
        for parent in parents
        if parent
    ]
    if len(members) == len(parents) and [p for each in members for p in each] == list(paths):
        return tuple(f"{parent}.*" for parent in parents)
    return tuple(paths)


def _in_stem(path: str) -> bool:
    return any(part.startswith("stem") for part in path.split("."))


def _within(path: str, other: str) -> bool:
    """Whether a path lies inside of another one."""
    return path.startswith(f"{other}.") if other else bool(path)
