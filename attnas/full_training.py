"""The full training of an exported architecture, scored on the test split."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from attnas.evaluator import (
    Checkpoint,
    Data,
    Outcome,
    Pool,
    Recipe,
    TrainingFailed,
    load_data,
    train,
)
from attnas.results import load_export, replace_file
from attnas.results.folder import writing
from attnas.search_space import AttnasError, InputError
from attnas.search_space.build import build

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
) -> Outcome:
    """Trains on all images but the test split and writes the weights as safetensors.

    `hold_out_validation` keeps the validation split from training too: a search with the same
    splits may begin with such weights (`init`), as they have not seen what it is scored on.
    The data and the recipe are those of the search; `data_path` says where the data are now.
    A checkpoint beside the weights file is kept until the training ends: the same call goes
    on where it was interrupted.

    Raises:
        InputError: the export or its data cannot be read, or the data are others, or `weights`
            is a folder.
        AttnasError: the training failed, or the weights cannot be written there, which is
            tried before it begins.
    """
    check_writable(weights)
    architecture, document = load_export(exported)
    for key in ("data", "recipe"):
        if not isinstance(document.get(key), dict):
            raise InputError("must be a mapping, as an export has it.", key=key, file=str(exported))
    data = _data(document["data"], data_path, str(exported))
    if not hold_out_validation:
        data = _with_validation(data)
    if data.input_shape != architecture.backbone.input_shape:
        raise InputError(
            f"the images are {data.input_shape}; the architecture was made for "
            f"{architecture.backbone.input_shape}.",
            key="data",
            file=str(exported),
        )
    recipe = _recipe(document["recipe"], epochs, str(exported))
    network = build(architecture, seed=seed)
    checkpoint = _checkpoint(document, recipe, seed, weights, len(data.train))
    goes_on = " Going on from its checkpoint." if checkpoint.path.exists() else ""
    say(f"{architecture}: {len(data.train):,} images, {epochs} epochs.{goes_on}")
    try:
        outcome = train(
            network,
            data,
            recipe,
            seed=seed,
            device="cuda" if torch.cuda.is_available() else "cpu",
            split="test",
            on_epoch=lambda epoch, loss: say(
                f"epoch {epoch} of {epochs}: training loss {loss:.3f}"
            ),
            checkpoint=checkpoint,
        )
    except TrainingFailed as error:
        raise AttnasError(f"the training failed: {error}.") from error
    state = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
    with writing(weights, named=False):
        replace_file(weights, save(state))
    checkpoint.delete()
    with suppress(OSError):  # not empty: another training of the file left its state
        checkpoint.folder.rmdir()
    return outcome


def _checkpoint(
    document: dict[str, Any], recipe: Recipe, seed: int, weights: Path, images: int
) -> Checkpoint:
    """Where this training leaves its state: beside the weights, named by all that it depends on."""
    network = {key: document.get(key) for key in ("backbone", "choices", "identity_start")}
    facts = {
        **network,
        "data": document["data"]["data_sha256"],
        "images": images,
        "recipe": asdict(recipe),
        "seed": seed,
    }
    return Checkpoint(weights.parent / f".{weights.name}.training", facts)


def _recipe(settings: dict, epochs: int, file: str) -> Recipe:
    """The recipe of the search, for so many epochs."""
    try:
        return replace(Recipe(**settings), epochs=epochs, time_limit_s=None)
    except TypeError as error:
        raise InputError(f"{error}.", key="recipe", file=file) from error
    except InputError as error:
        raise InputError(
            error.problem, key=error.key.replace("training", "recipe"), file=file
        ) from error


def _data(facts: dict, data_path: str | None, file: str) -> Data:
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
    data = load_data(source, **settings)
    if data.facts["data_sha256"] != digest:
        raise InputError("the data are not those of the search.", key="data", file=file)
    return data


def _with_validation(data: Data) -> Data:
    """The data with the validation images given back to training."""
    together = Pool(
        torch.cat([data.train.images, data.validation.images]),
        torch.cat([data.train.labels, data.validation.labels]),
    )
    return replace(data, train=together)
