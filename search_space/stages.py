"""Where blocks can be placed in a network: stages, their units, and how a block enters one."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from attnas.core import InputError

from .layouts import Layout
from .patterns import matched

if TYPE_CHECKING:
    from torch import nn

Mode = Literal["at", "before", "after", "replace"]
MODES: tuple[Mode, ...] = get_args(Mode)


@dataclass(frozen=True)
class Insertion:
    """How a block enters a unit: in an empty slot, before or after a submodule, or instead of it.

    `path` is relative to the unit; "" is the unit itself. `layout` is that of the tensor there, as
    text; None if it is to be found by running the network.
    """

    mode: Mode
    path: str
    layout: str | None = None

    def to_dict(self) -> dict[str, str]:
        """As a config has it: {after: bn2}, or {after: bn2, layout: nhwc}."""
        named = {} if self.layout is None else {"layout": self.layout}
        return {self.mode: self.path, **named}


@dataclass(frozen=True)
class Unit:
    """One unit of a stage by its module path, with an insertion per placement."""

    path: str
    insertions: tuple[tuple[str, Insertion], ...]


@dataclass(frozen=True)
class Stage:
    name: str
    units: tuple[Unit, ...]


def join(unit: str, relative: str) -> str:
    """The path of a submodule from the paths of its unit and of it within the unit."""
    return f"{unit}.{relative}" if relative else unit


@dataclass(frozen=True)
class StagePattern:
    """A stage as a config describes it: patterns of its units, and the same sites in each.

    `matching` says what a pattern may be; that of a site names one submodule in a unit. A unit
    that lacks it is without that site.
    """

    name: str
    units: tuple[str, ...]
    sites: tuple[tuple[str, Insertion], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain types for YAML or JSON."""
        sites = {name: insertion.to_dict() for name, insertion in self.sites}
        return {"name": self.name, "units": list(self.units), "sites": sites}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "StagePattern":
        """What `to_dict` wrote, or a run of format 1: there each unit had sites of its own.

        Raises:
            KeyError, TypeError, ValueError, InputError: it is not of that form.
        """
        units, sites = plain["units"], dict(plain.get("sites", {}))
        if units and isinstance(units[0], Mapping):
            for unit in units:
                sites |= unit["sites"]
            units = [unit["path"] for unit in units]
        insertions = (
            (str(name), _parse_insertion(str(name), site, "sites")) for name, site in sites.items()
        )
        return cls(str(plain["name"]), tuple(map(str, units)), tuple(sorted(insertions)))


def parse_stages(description: Any, *, key: str) -> tuple[StagePattern, ...]:
    """Reads stages as a config gives them; `expand` finds them in a network.

    `description` maps each stage to `{units: [pattern, ...], sites: {placement: {mode: path}}}`.

    Raises:
        InputError: the description has another form; with its place under `key`.
    """
    if not isinstance(description, Mapping) or not description:
        raise InputError("stages are a mapping of stage name to units and sites.", key=key)
    return tuple(
        _parse_stage(str(name), entry, f"{key}.{name}") for name, entry in description.items()
    )


def _parse_stage(name: str, entry: Any, key: str) -> StagePattern:
    if not isinstance(entry, Mapping) or set(entry) != {"units", "sites"}:
        raise InputError(
            "a stage has the keys 'units' (module paths) and 'sites' (insertions by placement).",
            key=key,
        )
    globs = entry["units"]
    if not isinstance(globs, Sequence) or isinstance(globs, str) or not globs:
        raise InputError(
            'units are a list of module paths, such as ["layer1.*"].', key=f"{key}.units"
        )
    sites = _parse_sites(entry["sites"], f"{key}.sites")
    return StagePattern(name, tuple(map(str, globs)), tuple(sorted(sites.items())))


def expand(
    network: "nn.Module", patterns: Sequence[StagePattern], *, key: str
) -> tuple[Stage, ...]:
    """The stages of a network that the patterns describe; units come in the network's order.

    Raises:
        InputError: they name what the network lacks; with the place under `key`.
    """
    modules = dict(network.named_modules(remove_duplicate=False))
    stages = tuple(_expand_stage(p, modules, f"{key}.{p.name}") for p in patterns)
    _refuse_shared_units(stages, key)
    return stages


def _expand_stage(pattern: StagePattern, modules: "Mapping[str, nn.Module]", key: str) -> Stage:
    paths = _expand(pattern.units, modules, f"{key}.units")
    inside = {
        path: [m.removeprefix(f"{path}.") for m in modules if m.startswith(f"{path}.")]
        for path in paths
    }
    found: dict[str, list[tuple[str, Insertion]]] = {path: [] for path in paths}
    for placement, insertion in pattern.sites:
        place = f"{key}.sites.{placement}"
        for path, own in _located(insertion, inside, place).items():
            module = modules[join(path, own.path)]
            _refuse_full_slot(own, join(path, own.path), module, place)
            if own.mode != "replace" or type(module).__name__ != "Identity":
                found[path].append((placement, own))
    return Stage(pattern.name, tuple(Unit(path, tuple(sites)) for path, sites in found.items()))


def _inside(unit: str, paths: Iterable[str]) -> list[str]:
    """The paths of a unit's submodules, relative to it."""
    return [path.removeprefix(f"{unit}.") for path in paths if path.startswith(f"{unit}.")]


def _located(
    insertion: Insertion, inside: Mapping[str, Sequence[str]], key: str
) -> dict[str, Insertion]:
    """The insertion with its path in each unit that has such a submodule.

    `inside` are the paths of each unit's submodules, relative to it.

    Raises:
        InputError: no unit has one, or a unit several.
    """
    if not insertion.path:
        return dict.fromkeys(inside, insertion)
    known = list(dict.fromkeys(path for paths in inside.values() for path in paths))
    what = "no unit of the stage has a module"
    wanted = set(matched(insertion.path, known, what=what, key=key))
    found = {}
    for unit, paths in inside.items():
        own = [path for path in paths if path in wanted]
        if len(own) > 1:
            raise InputError(
                f"'{insertion.path}' names several modules of {unit}: {', '.join(own)}. Name one.",
                key=key,
            )
        if own:
            found[unit] = replace(insertion, path=own[0])
    return found


def _refuse_full_slot(insertion: Insertion, path: str, module: "nn.Module", key: str) -> None:
    if insertion.mode == "at" and type(module).__name__ != "Identity":
        raise InputError(
            f"'{path}' is a {type(module).__name__}, not an empty slot (nn.Identity). Write "
            "'before' or 'after'.",
            key=key,
        )


def _expand(patterns: Sequence[str], paths: Iterable[str], key: str) -> list[str]:
    """The module paths that any of the patterns names, in the network's order."""
    known = [path for path in paths if path]
    found: set[str] = set()
    for i, pattern in enumerate(patterns):
        what = "the network has no module"
        found.update(matched(pattern, known, what=what, key=f"{key}[{i}]"))
    return [path for path in known if path in found]


def _parse_sites(entry: Any, key: str) -> dict[str, Insertion]:
    if not isinstance(entry, Mapping) or not entry:
        raise InputError("sites are a mapping such as {residual: {after: bn2}}.", key=key)
    return {str(name): _parse_insertion(str(name), site, key) for name, site in entry.items()}


def _parse_insertion(placement: str, site: Any, key: str) -> Insertion:
    if not re.fullmatch("[a-z_]+", placement):
        raise InputError(f"the placement '{placement}' may have a-z and '_' only.", key=key)
    key = f"{key}.{placement}"
    site = dict(site) if isinstance(site, Mapping) else {}
    layout = site.pop("layout", None)
    if len(site) != 1 or next(iter(site)) not in MODES:
        raise InputError(
            "a site is {at: path}, {before: path}, {after: path} or {replace: path}, with a "
            "'layout' if need be; the path is relative to the unit, \"\" is the unit itself.",
            key=key,
        )
    [(mode, path)] = site.items()
    if isinstance(path, bool) or not isinstance(path, str | int):
        raise InputError(f"the path {path!r} is not a string. Put it in quotes.", key=key)
    if layout is not None:
        try:
            layout = str(Layout.parse(layout))
        except InputError as error:
            raise error.inside(key=f"{key}.layout") from error
    return Insertion(mode, str(path), layout)


def _refuse_shared_units(stages: Sequence[Stage], key: str) -> None:
    owner: dict[str, str] = {}
    for stage in stages:
        for unit in stage.units:
            if unit.path in owner:
                raise InputError(
                    f"the unit '{unit.path}' belongs to the stage '{owner[unit.path]}' already. "
                    "Give each unit to one stage.",
                    key=f"{key}.{stage.name}.units",
                )
            owner[unit.path] = stage.name
