"""The record of a run on disk: its files, their formats, and what an older format lacked."""

import math
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from attnas.core import AttnasError, InputError, read, read_unchecked, shortened
from attnas.search_space import Backbone, decision_from_dict, stage_decisions

from .database_url import from_environment

FORMAT = 2
FORMATS = (1, FORMAT)
RUN_FILE, CONFIG_FILE, ENVIRONMENT_FILE = "run.json", "config.yaml", "environment.json"
TRIALS_FILE, CHECKPOINTS = "trials.db", "checkpoints"


def exists(folder: str | Path) -> bool:
    """Whether the folder holds a run, of whatever format."""
    return (Path(folder) / RUN_FILE).is_file()


def found_folder(given: str | Path, runs: Path) -> Path:
    """The run's folder: the given one, or that of this name in `runs`.

    Raises:
        InputError: there is no run; the message names the nearest.
    """
    candidates = [Path(given), runs / given]
    try:
        for path in candidates:
            if exists(path):
                return path
    except OSError as error:  # a name that is too long
        raise InputError(f"there is no run '{shortened(str(given))}': {error.strerror}.") from error
    for path in candidates:
        if path.is_dir():
            raise InputError(f"is not a run: it has no {RUN_FILE}.", file=str(path))
    names = sorted(p.name for p in runs.iterdir() if exists(p)) if runs.is_dir() else []
    near = get_close_matches(str(given), names, n=1)
    if near:
        hint = f"Did you mean '{near[0]}'?"
    else:
        hint = f"Runs in {runs}: {', '.join(names)}." if names else f"There is no run in {runs}."
    raise InputError(f"there is no run '{given}'. {hint}")


def new_record(folder: Path, facts: Mapping[str, Any], storage: str | None) -> dict[str, Any]:
    """What `run.json` says of a run that is made now."""
    return {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "storage": storage,
        "study": folder.resolve().name,
        "mark": uuid.uuid4().hex,
        "facts": with_plain_options(facts),
    }


def read_record(folder: Path) -> dict[str, Any]:
    """What `run.json` says.

    Raises:
        InputError: it has a format that this version does not read.
        AttnasError: the file is missing or damaged.
    """
    check_format(read_unchecked(folder / RUN_FILE)[0], folder)
    return read(folder / RUN_FILE)


def check_format(record: Mapping[str, Any], folder: Path) -> None:
    """Sees whether this version reads the format that a `run.json` names.

    Raises:
        InputError: it does not.
    """
    if record.get("format") not in FORMATS:
        raise InputError(
            f"the run has format {record.get('format')}, this attnas reads formats up to "
            f"{FORMAT}. Use the attnas that made it, or start a run of another name.",
            file=str(folder / RUN_FILE),
            key="format",
        )


def with_plain_options(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts with the plain option among those of each decision: the plain backbone is a
    trial of every run, also where the space does not have it."""
    backbone = Backbone.from_dict(facts["backbone"])
    options = dict(facts["options"])
    for decision in map(decision_from_dict, facts["decisions"]):
        texts, plain = list(options[decision.name]), decision.plain(backbone)
        options[decision.name] = texts if plain in texts else [plain, *texts]
    return {**facts, "options": options}


def current(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts as format 2 has them: format 1 knew the attention of stages, and classification
    with its label smoothing in the recipe."""
    if "decisions" in facts:
        return dict(facts)
    backbone = Backbone.from_dict(facts["backbone"])
    recipe = {key: v for key, v in facts.get("recipe", {}).items() if v is not None}
    smoothing = recipe.pop("label_smoothing", 0.0)
    classes = backbone.output_shape[0]
    return {
        **facts,
        "backbone": backbone.to_dict(),
        "decisions": [decision.to_dict() for decision in stage_decisions(backbone)],
        "recipe": recipe,
        "task": {"name": "classification"} | ({"label_smoothing": smoothing} if smoothing else {}),
        "scored": "accuracy",
        "metrics": {
            "accuracy": {"better": "max", "format": "percent", "rank": 10},
            "validation_loss": {"better": "min", "rank": 90},
        },
        "box": {"accuracy": [1 / classes, 1.0], "validation_loss": [math.log(classes), 0.0]},
    }


def place_of_trials(folder: Path, storage: str | None, *, create: bool = False) -> Path | str:
    """Where the trials are: a database URL or the folder's SQLite file.

    Raises:
        InputError: an environment variable of the URL is not set.
        AttnasError: the file is missing.
    """
    if storage is not None:
        return from_environment(storage)
    file = folder / TRIALS_FILE
    if not create and not file.is_file():
        raise AttnasError(f"{file}: the file with the trials is missing. Restore a copy of it.")
    return file
