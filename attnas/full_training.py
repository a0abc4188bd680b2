"""The full training of an exported architecture, scored on the test split."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import nn

from attnas.core import (
    AttnasError,
    InputError,
    TrainingResult,
    validated,
)
from attnas.evaluator import (
    Data,
    Recipe,
    Task,
    TrainingFailed,
    joined,
    load_data,
    make_task,
    train,
    training_record,
    write_weights,
)
from attnas.results import load_export
from attnas.search_space import Architecture, Checkpoint

from .setup import training_device
from .starting_weights import beginning
from .terminal import check_writable


def train_exported(
    exported: Path,
    *,
    epochs: int,
    data_path: str | None,
    seed: int,
    weights: Path,
    say: Callable[[str], None],
    hold_out_validation: bool = False,
    init: str | None = None,
    from_scratch: bool = False,
    trust: bool = False,
) -> TrainingResult:
    """Trains on all items but the test split and writes the weights as safetensors.

    It begins with the weights that the search began with, those of the file `init`, or with
    random ones if `from_scratch`; see `beginning`.

    `hold_out_validation` keeps the validation split from training too: a search with the same
    splits may begin with such weights (`init`), as they have not seen what it is scored on. The
    file says in its metadata which splits were trained on.
    The data, the task and the recipe are those of the search; `data_path` says where the data
    are now. A checkpoint beside the weights file is kept until the training ends: the same call
    goes on where it was interrupted. `trust` as in `load_export`.

    Raises:
        InputError: the export or its data cannot be read, or the data are others, or `weights`
            is a folder; or the weights to begin with are gone or others.
        AttnasError: the training failed, or the weights cannot be written there, which is
            tried before it begins.
    """
    check_writable(weights)
    architecture, document = load_export(exported, trust=trust)
    for key in ("data", "recipe"):
        if not isinstance(document.get(key), dict):
            raise InputError("must be a mapping, as an export has it.", key=key, file=str(exported))
    recipe = _recipe(document["recipe"], epochs, str(exported))
    task = _task(document, str(exported))
    data = _data(document["data"], task, data_path, str(exported))
    begun = beginning(
        document, architecture, data, file=str(exported), init=init, from_scratch=from_scratch
    )
    architecture = begun.architecture
    splits = ["train"] if hold_out_validation else ["train", "validation"]
    if not hold_out_validation:
        data = replace(data, train=joined(data.train, data.validation))
    _check_shape(data, architecture, str(exported))
    network = begun.start.network(architecture, seed)
    start = f"{begun.text}: {begun.start.label}"
    checkpoint = _checkpoint(document, recipe, task, seed, weights, len(data.train), start)
    goes_on = " Going on from its checkpoint." if checkpoint.file.exists() else ""
    plural = "" if epochs == 1 else "s"
    items = f"{len(data.train):,} items, {epochs} epoch{plural}"
    say(f"{architecture}: {items} from {begun.text}.{goes_on}")
    result = _trained(network, data, task, recipe, seed, checkpoint, say)
    seen = [split for split in ("train", "validation") if split in (*splits, *begun.seen)]
    record = training_record(data, seen, result, seed=seed, start=begun.text)
    write_weights(weights, network, record)
    checkpoint.delete()
    with suppress(OSError):  # not empty: another training of the file left its state
        checkpoint.file.parent.rmdir()
    return result


def _trained(
    network: nn.Module,
    data: Data,
    task: Task,
    recipe: Recipe,
    seed: int,
    checkpoint: Checkpoint,
    say: Callable[[str], None],
) -> TrainingResult:
    """Trains the network in place and scores it on the test split."""

    def tell(epoch: int, loss: float) -> None:
        say(f"epoch {epoch} of {recipe.epochs}: training loss {loss:.3f}")

    device = training_device()
    try:
        return train(
            network,
            data,
            task,
            recipe,
            seed=seed,
            device=device,
            split="test",
            on_epoch=tell,
            checkpoint=checkpoint,
        )
    except TrainingFailed as error:
        raise AttnasError(f"the training failed: {error}.") from error


def _check_shape(data: Data, architecture: Architecture, file: str) -> None:
    wanted = architecture.backbone.input_shape
    if data.input_shape != wanted:
        raise InputError(
            f"the inputs are {data.input_shape}; the architecture was made for {wanted}.",
            key="data",
            file=file,
        )


def _checkpoint(
    document: Mapping[str, Any],
    recipe: Recipe,
    task: Task,
    seed: int,
    weights: Path,
    items: int,
    start: str,
) -> Checkpoint:
    """Where this training leaves its state: beside the weights, named by all that it depends on."""
    parts = ("backbone", "decisions", "architecture", "choices", "identity_start")
    facts = {
        **{key: document.get(key) for key in parts},
        "data": document["data"]["data_sha256"],
        "items": items,
        "recipe": recipe.model_dump(),
        "task": {"name": task.name, **asdict(task)},  # type: ignore[call-overload]
        "seed": seed,
        "start": start,
    }
    return Checkpoint.within(weights.parent / f".{weights.name}.training", facts)


def _recipe(settings: Mapping[str, Any], epochs: int, file: str) -> Recipe:
    """The recipe of the search, for so many epochs."""
    known = {key: value for key, value in settings.items() if key != "label_smoothing"}
    recipe = validated(Recipe, known, key="recipe", file=file)
    if recipe.function is not None:
        raise InputError(
            f"the search trained by '{recipe.function}': call that to train it fully.",
            key="recipe.function",
            file=file,
        )
    return recipe.model_copy(update={"epochs": epochs, "time_limit_s": None})


def _task(document: Mapping[str, Any], file: str) -> Task:
    """The task of the search; in exports of version 1 it is classification."""
    given = document.get("task")
    if given is None:
        smoothing = document["recipe"].get("label_smoothing", 0.0)
        given = {"name": "classification", "label_smoothing": smoothing}
    if not isinstance(given, Mapping) or "name" not in given:
        raise InputError("must be a mapping with a name.", key="task", file=file)
    try:
        return make_task(str(given["name"]), {k: v for k, v in given.items() if k != "name"})
    except InputError as error:
        raise error.inside(file=file) from error


def _data(facts: Mapping[str, Any], task: Task, data_path: str | None, file: str) -> Data:
    """The data of the search, split as there; training gets what no split had."""
    if not facts:
        raise InputError("the run replayed a table: there are no data to train on.", file=file)
    try:
        source, digest = facts["source"], facts["data_sha256"]
        settings: dict[str, Any] = {
            "path": data_path or facts["path"],
            "validation": facts["sizes"]["validation"],
            "test": facts["sizes"]["test"],
            "split_seed": facts["split_seed"],
            **facts["options"],
        }
    except KeyError as error:
        raise InputError(f"the entry {error} is missing.", key="data", file=file) from error
    data = load_data(source, task, **settings)
    if data.facts["data_sha256"] != digest:
        raise InputError("the data are not those of the search.", key="data", file=file)
    return data
