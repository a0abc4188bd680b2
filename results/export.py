"""Exported architectures: a file from which anyone builds the network again."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from attnas.core import (
    LARGEST,
    MARK,
    InputError,
    Trial,
    check_trust,
    import_plugins,
    mark_of,
    parse_json,
    parse_yaml,
    to_json,
    to_yaml,
    write,
)
from attnas.search_space import Architecture, Backbone, decision_from_dict, stage_decisions

from .start import start_of

if TYPE_CHECKING:
    from .run import Run

VERSION = 2
_SUFFIXES = (".yaml", ".yml", ".json")


def export(run: "Run", trial: Trial | int | None = None) -> dict[str, Any]:
    """What an export says of a trial: by default the run's best feasible one.

    Plain types: `version`, `plugins` (modules that register what it is
    built of), `backbone`, `decisions` (name, kind and what it concerns), `architecture` (the
    option of each), `identity_start`, `widths` (the blocks' realised widths by decision, for
    information), `metrics` (value, 95 % interval), `constraints`, `violations`, `device`,
    `data`, `task`, `recipe`, `start` (what trainings began with, `start_of`),
    `provenance`; and `maker` if it names code (docs/trust.md).

    Raises:
        InputError: the run has no trial of that number.
        AttnasError: no trial is feasible.
    """
    chosen = run.best() if trial is None else _numbered(run, trial)
    architecture = chosen.architecture
    content = {
        "version": VERSION,
        "plugins": list(run.facts.get("plugins", ())),
        **_described(architecture),
        "widths": _widths(run.details(chosen)),
        "metrics": {
            name: {"value": _plain(value), **_interval(chosen, name)}
            for name, value in chosen.metrics.items()
            if math.isfinite(value)
        },
        "constraints": dict(run.facts["constraints"]),
        "violations": {name: _plain(excess) for name, excess in chosen.violations.items()},
        "device": run.facts.get("device"),
        "data": run.facts.get("data"),
        "task": run.facts.get("task"),
        "recipe": run.facts.get("recipe"),
        "start": start_of(run),
        "provenance": {
            "run": run.name,
            "trial": chosen.number,
            "state": chosen.state,
            "epochs": chosen.epochs,
            "strategy": run.facts.get("strategy"),
            "seed": run.facts.get("seed"),
            "seeds": list(chosen.seeds),
            "trained": chosen.started or None,
            "exported": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": {name: _version(name) for name in ("attnas", "torch")},
        },
    }
    mark = mark_of(content)
    return content if mark is None else {**content, MARK: mark}


def write_export(run: "Run", trial: Trial | int | None, path: str | Path) -> dict[str, Any]:
    """Writes `export(run, trial)` as YAML or JSON, by the suffix, and returns it.

    The file is whole or not there, whatever happens.

    Raises:
        InputError: the suffix is another; and as `export`.
        AttnasError: the file cannot be written; and as `export`.
    """
    path = Path(path)
    if path.suffix not in _SUFFIXES:
        raise InputError(f"the suffix says the format: {', '.join(_SUFFIXES)}.", file=str(path))
    content = export(run, trial)
    write(path, to_json(content) if path.suffix == ".json" else to_yaml(content))
    return content


def load_export(path: str | Path, *, trust: bool = False) -> tuple[Architecture, dict[str, Any]]:
    """The architecture in an exported file, and the file's whole content.

    Raises:
        InputError: the file cannot be read or is no export of a known version, a key is
            missing or wrong; the message names file and key; or it names code that is neither
            this user's nor trusted (docs/trust.md).
    """
    content = _read(Path(path))
    if "version" not in content:
        raise InputError(
            "is missing: this is no exported architecture.", key="version", file=str(path)
        )
    if content["version"] not in (1, VERSION):
        raise InputError(
            f"the version {content['version']!r} is unknown, this attnas reads those up to "
            f"{VERSION}. Use the attnas that wrote it.",
            key="version",
            file=str(path),
        )
    options = "choices" if content["version"] == 1 else "architecture"
    for key, kind in (("backbone", dict), (options, dict), ("identity_start", bool)):
        if key not in content:
            raise InputError("is missing.", key=key, file=str(path))
        if not isinstance(content[key], kind):
            meant = "a mapping" if kind is dict else "true or false"
            raise InputError(f"must be {meant}, not {content[key]!r}.", key=key, file=str(path))
    check_trust(content.get(MARK), content, trust=trust, file=str(path))
    try:
        import_plugins(content.get("plugins", ()))
        backbone = Backbone.from_dict(content["backbone"])
    except InputError as error:
        raise error.inside(file=str(path)) from error
    decisions = _decisions(content, backbone, str(path))
    try:
        architecture = Architecture.read(
            backbone, decisions, content[options], content["identity_start"]
        )
    except InputError as error:
        raise error.inside(key=options, file=str(path)) from error
    return architecture, content


def _decisions(content: Mapping[str, Any], backbone: Backbone, file: str) -> tuple[Any, ...]:
    """The decisions of an export; version 1 knew the attention of stages alone."""
    if content["version"] == 1:
        return stage_decisions(backbone)
    given = content.get("decisions")
    if not isinstance(given, list):
        raise InputError("must be a list of decisions.", key="decisions", file=file)
    try:
        return tuple(decision_from_dict(entry) for entry in given)
    except InputError as error:
        raise error.inside(key="decisions", file=file) from error


def _numbered(run: "Run", trial: Trial | int) -> Trial:
    if isinstance(trial, Trial):
        return trial
    if not 0 <= trial < len(run.trials):
        held = f"It has 0 to {len(run.trials) - 1}." if run.trials else "It has none yet."
        raise InputError(f"the run has no trial {trial}. {held}", file=str(run.folder))
    return run.candidate(trial)


def _described(architecture: Architecture) -> dict[str, Any]:
    return {
        "backbone": architecture.backbone.to_dict(),
        "decisions": [decision.to_dict() for decision in architecture.decisions],
        "architecture": architecture.by_name,
        "identity_start": architecture.identity_start,
    }


def _widths(told: Mapping[str, Mapping[str, Any]]) -> dict[str, list[list[int]]]:
    """Decision -> the distinct widths that its ratio realises; those without are left out."""
    return {name: details["widths"] for name, details in told.items() if details.get("widths")}


def _interval(trial: Trial, name: str) -> dict[str, list[float]]:
    ends = trial.intervals.get(name, ())
    known = ends and all(math.isfinite(end) for end in ends)
    return {"interval": [float(end) for end in ends]} if known else {}


def _plain(value: float) -> float | int:
    """Counts as whole numbers, whatever they were computed with."""
    return int(value) if float(value).is_integer() and abs(value) >= 2 else float(value)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # run from a folder that is not installed
        return "unknown"


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise InputError(f"has more than {LARGEST:,} characters.", file=str(path))
        content = parse_json(text) if path.suffix == ".json" else parse_yaml(text)
    except FileNotFoundError:
        raise InputError("there is no such file.", file=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}.", file=str(path)) from error
    except (ValueError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise InputError(f"is not valid: {said}.", file=str(path)) from error
    if not isinstance(content, dict):
        raise InputError("is no exported architecture: not a mapping.", file=str(path))
    return content
