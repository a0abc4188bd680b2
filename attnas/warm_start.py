"""Beginning a search with what an older run found."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from attnas.core import AttnasError, InputError, Trial, named_code
from attnas.results import Run
from attnas.search_space import Backbone, SearchSpace, decision_from_dict

from .config import Config

_SAME = {  # what must be equal, by its key in the config
    "backbone": "search_space.backbone",
    "decisions": "search_space",
    "identity_start": "search_space.identity_start",
    "options": "search_space: the options of",
    "space_size": "search_space",
    "objectives": "objectives",
    "constraints": "constraints",
    "device": "device",
    "task": "task",
    "recipe": "training",
    "data": "data",
}
_MAY_DIFFER = {"data.path", "data.validation_sha256"}  # this one follows from splits_sha256


def remember_older(config: Config, facts: Mapping[str, Any], runs: str | Path) -> dict[str, Any]:
    """What a new run must remember of the run that it begins from, as of now.

    `facts` are the new run's.

    Raises:
        InputError: there is no such run, or it differs in what its trials depend on; the
            message names all that differs. The key is `warm_start`.
    """
    content = config.model_dump(mode="json", exclude_none=True)
    try:
        older = Run.open(str(config.warm_start), runs=runs, trust=named_code(content))
    except InputError as error:
        raise error.inside(key="warm_start") from error
    differing = list(_differences(older.facts, facts))
    if older.config.get("evaluator") != content.get("evaluator"):
        differing.append("evaluator")
    if differing:
        raise InputError(
            f"the trials of {older.folder} do not compare with this search: "
            f"{', '.join(dict.fromkeys(differing))} differ. Use the same, or leave "
            "'warm_start' out.",
            key="warm_start",
        )
    return {
        "folder": str(older.folder.resolve()),
        "trials": len(older.recorded),
        "digest": _digest(older.recorded),
        "seed": older.facts["seed"],
    }


def warm_trials(
    facts: Mapping[str, Any], space: SearchSpace, runs: str | Path
) -> tuple[Trial, ...]:
    """The older run's trials that a run's history begins with; none if it has no such run.

    Those that were complete or infeasible when the run was made, of the space, numbered from
    below up to -1. They are not the run's: not stored in it, not counted, not on its front.

    Raises:
        AttnasError: the older run is gone, or has other trials now.
    """
    remembered = facts.get("warm_start")
    if remembered is None:
        return ()
    folder, count = Path(remembered["folder"]), remembered["trials"]
    moved = Path(runs) / folder.name
    if not Run.exists(folder) and not Run.exists(moved):
        raise AttnasError(
            f"{folder}: the run that this one began from is gone. Put it back, there or in {runs}."
        )
    with Run.open(folder if Run.exists(folder) else moved, trust=named_code(facts)) as older:
        trials = older.recorded[:count]
        if _digest(trials) != remembered["digest"]:
            raise AttnasError(
                f"{older.folder}: no longer has the {count} trials that this run began from. "
                "Put them back, or start a run of another name."
            )
    usable = [t for t in trials if t.state != "failed" and t.architecture in space]
    return tuple(replace(trial, number=i - len(usable)) for i, trial in enumerate(usable))


def warm_text(facts: Mapping[str, Any], earlier: Sequence[Trial]) -> str:
    """What a user should know of the older run's trials."""
    remembered = facts["warm_start"]
    text = f"The strategy begins with {len(earlier)} trials of {remembered['folder']}."
    if remembered["seed"] != facts["seed"]:
        text += (
            f" They were trained with the seed {remembered['seed']}, those of this run with "
            f"{facts['seed']}: accuracies of two seeds differ by chance."
        )
    return text


def _differences(older: Mapping[str, Any], newer: Mapping[str, Any]) -> Iterator[str]:
    """Keys in which the facts of two runs differ, as a config names them."""
    for part, key in _SAME.items():
        a, b = _plain(older, part), _plain(newer, part)
        if not isinstance(a, dict) or not isinstance(b, dict) or part == "backbone":
            if a != b:
                yield key
            continue
        for name in (*a, *(n for n in b if n not in a)):
            place = f"{key} {name}" if part == "options" else f"{key}.{name}"
            if a.get(name) != b.get(name) and place not in _MAY_DIFFER:
                yield place


def _plain(facts: Mapping[str, Any], part: str) -> Any:
    """A part of the facts as it is once stored: without tuples, the plain option always there."""
    found = json.loads(json.dumps(facts.get(part)))
    if part == "options":
        backbone = Backbone.from_dict(facts["backbone"])
        plain = {d.name: d.plain(backbone) for d in map(decision_from_dict, facts["decisions"])}
        return {name: {plain[name], *texts} for name, texts in found.items()}
    return found


def _digest(trials: Sequence[Trial]) -> str:
    """Of what a strategy may learn from."""
    told = [
        (str(t.architecture), t.epochs, t.state, sorted(t.metrics.items()), sorted(t.violations))
        for t in trials
    ]
    return hashlib.sha256(repr(told).encode()).hexdigest()
