"""Where blocks can be placed in a network: stages, their units, and how a block enters one."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, get_args

from attnas.core import InputError

from .layouts import Layout

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
    """A stage as a config describes it: globs of its units, and the same sites in each.

    A `*` in a glob stands for one part of a dotted path. A unit that lacks a site's submodule is
    without that site.
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

    `description` maps each stage to `{units: [glob, ...], sites: {placement: {mode: path}}}`.

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
    for placement, insertion in pattern.sites:
        _check_site(placement, insertion, paths, modules, f"{key}.sites.{placement}")
    units = (
        Unit(path, tuple((p, i) for p, i in pattern.sites if _has(modules, path, i)))
        for path in paths
    )
    return Stage(pattern.name, tuple(units))


def _has(modules: "Mapping[str, nn.Module]", unit: str, insertion: Insertion) -> bool:
    """Whether the unit has the module of a site; an identity has nothing to be replaced."""
    module = modules.get(join(unit, insertion.path))
    empty = insertion.mode == "replace" and type(module).__name__ == "Identity"
    return module is not None and not empty


def _expand(globs: Sequence[str], modules: "Mapping[str, nn.Module]", key: str) -> list[str]:
    """The module paths that match any of the globs, in the network's order."""
    found: set[str] = set()
    for i, glob in enumerate(globs):
        matching = {path for path in modules if path and _matches(path, glob)}
        if not matching:
            raise InputError(
                f"the network has no module '{glob}'. {_nearest(glob, modules)}",
                key=f"{key}[{i}]",
            )
        found |= matching
    return [path for path in modules if path in found]


def _matches(path: str, glob: str) -> bool:
    parts, patterns = path.split("."), glob.split(".")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


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


def _check_site(
    placement: str,
    insertion: Insertion,
    units: Sequence[str],
    modules: "Mapping[str, nn.Module]",
    key: str,
) -> None:
    """Refuses a site that no unit of the stage has, and a full slot."""
    having = [path for path in units if join(path, insertion.path) in modules]
    if not having:
        inside = [
            path.removeprefix(f"{unit}.")
            for unit in units
            for path in modules
            if path.startswith(f"{unit}.")
        ]
        raise InputError(
            f"no unit of the stage has a module '{insertion.path}'. "
            f"{_nearest(insertion.path, inside)}",
            key=key,
        )
    for path in having:
        module = modules[join(path, insertion.path)]
        if insertion.mode == "at" and type(module).__name__ != "Identity":
            raise InputError(
                f"'{join(path, insertion.path)}' is a {type(module).__name__}, not an empty "
                "slot (nn.Identity). Write 'before' or 'after'.",
                key=key,
            )


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


def _nearest(path: str, paths: Iterable[str]) -> str:
    known = [known for known in dict.fromkeys(paths) if known]
    near = get_close_matches(path, known, n=1)
    if near:
        return f"Did you mean '{near[0]}'?"
    if not known:
        return "It has no submodules."
    top = [known for known in known if "." not in known]
    return f"It has {', '.join(top)}."
