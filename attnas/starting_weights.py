"""What the full training of an exported architecture begins with: what its search began with."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from attnas.core import InputError
from attnas.evaluator import (
    Data,
    FromBackbone,
    FromScratch,
    FromSupernet,
    Start,
    read_weights,
    refuse_other_splits,
)
from attnas.results import PRETRAINED, WEIGHTS
from attnas.search_space import Architecture, Backbone, SearchSpace, build

_OTHERWISE = "`--init FILE` names weights to begin with, `--from-scratch` begins with random ones."


@dataclass(frozen=True)
class Beginning:
    """The start of a training, the architecture that it is for, and words for people.

    `seen` are the splits of the data that the weights were trained on.
    """

    start: Start
    architecture: Architecture
    text: str
    seen: tuple[str, ...] = ()


def beginning(
    document: Mapping[str, Any],
    architecture: Architecture,
    data: Data,
    *,
    file: str,
    init: str | None = None,
    from_scratch: bool = False,
) -> Beginning:
    """What the training of an export begins with.

    As its search did, unless `init` names another file with the weights of the plain backbone, or
    `from_scratch` says that they are to be random.

    Raises:
        InputError: both are given, the weights that the search began with are gone or others now,
            or they are not the backbone's; `file` is the export.
    """
    if from_scratch:
        if init is not None:
            raise InputError("give either --init or --from-scratch.", key="--init")
        return Beginning(FromScratch(), untrained(architecture), "scratch")
    if init is not None:
        return _from_file(init, untrained(architecture), data, None, key="--init", file="")
    found = document.get("start")
    if found is None and _has_weights(architecture.backbone):
        return _library(architecture, {}, file)
    if found is None:
        return Beginning(
            FromScratch(), architecture, "scratch (the export does not say what its search began "
            "with)"
        )  # fmt: skip
    if not isinstance(found, Mapping) or not {"key", "value"} <= set(found):
        raise InputError("must be a mapping with key and value.", key="start", file=file)
    if found["key"] in (PRETRAINED, WEIGHTS):
        return _library(architecture, found, file)
    if found["value"] == "scratch":
        return Beginning(FromScratch(), architecture, "scratch")
    if found["value"] == "supernet":
        return _from_supernet(found, architecture, file)
    digest = found.get("sha256")
    return _from_file(str(found["value"]), architecture, data, digest, key="start", file=file)


def trained(architecture: Architecture, weights: Path, *, key: str) -> nn.Module:
    """The network with the trained weights of a file, in eval mode.

    Raises:
        InputError: there is no such file, or it has the weights of another network.
    """
    network = build(untrained(architecture), seed=0)
    try:
        state, _ = read_weights(weights, network, str(architecture), key=key)
    except FileNotFoundError:
        raise InputError(f"there is no file '{weights}'.", key=key) from None
    network.load_state_dict(state)
    return network.eval()


def backbone_weights(backbone: Backbone) -> str | None:
    """The SHA-256 of the trained weights of a library's model; None if it begins with random ones.

    Of a file that is the file's, else that of all tensors that do not depend on the seed: a new
    head, say, is none of the library's.
    """
    arguments = dict(backbone.arguments)
    if arguments.get("weights") is not None:
        return _sha256(Path(str(arguments["weights"])))
    if not arguments.get("pretrained"):
        return None
    plain = Architecture.plain(backbone, ())
    one, other = (build(plain, seed=seed).state_dict() for seed in (0, 1))
    digest = hashlib.sha256()
    for name, tensor in sorted(one.items()):
        if torch.equal(tensor, other[name]):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def untrained(architecture: Architecture) -> Architecture:
    """The architecture on its backbone without trained weights of the library."""
    backbone = architecture.backbone
    if not _has_weights(backbone):
        return architecture
    kept = ((n, v) for n, v in backbone.arguments if n not in ("pretrained", "weights"))
    return replace(architecture, backbone=replace(backbone, arguments=tuple(kept)))


def _from_file(
    path: str, architecture: Architecture, data: Data, digest: str | None, *, key: str, file: str
) -> Beginning:
    """From a file with the weights of the plain backbone, of the digest if one is known."""
    if not Path(path).is_file():
        raise _gone(path, key, file)
    try:
        start = FromBackbone.read(path, architecture.variant)
        refuse_other_splits(start.record, data)
    except InputError as error:
        raise InputError(error.problem, key=key, file=file) from error
    if digest is not None and start.label != f"sha256:{digest}":
        raise _changed(path, key, file)
    of_these = start.record.get("data_sha256") == data.facts["data_sha256"]
    seen = tuple(start.record.get("trained_on", ())) if of_these else ()
    return Beginning(start, architecture, f"the weights in {path}", seen)


def _from_supernet(found: Mapping[str, Any], architecture: Architecture, file: str) -> Beginning:
    path = Path(str(found.get("file")))
    if not path.is_file():
        raise _gone(f"{path}, the supernet of the search", "start", file)
    if _sha256(path) != found.get("sha256"):
        raise _changed(f"{path}, the supernet of the search,", "start", file)
    options = found.get("options")
    names = [decision.name for decision in architecture.decisions]
    if not isinstance(options, Mapping) or set(options) != set(names):
        raise InputError("lacks the options of the decisions.", key="start.options", file=file)
    space = SearchSpace(
        architecture.backbone,
        architecture.decisions,
        tuple(tuple(map(str, options[name])) for name in names),
        architecture.identity_start,
    )
    start = FromSupernet(space, path)
    return Beginning(start, architecture, f"the supernet in {path}")


def _library(architecture: Architecture, found: Mapping[str, Any], file: str) -> Beginning:
    """From the trained weights of a library's model, which `build` loads."""
    arguments = dict(architecture.backbone.arguments)
    path = arguments.get("weights")
    if path is not None and not Path(str(path)).is_file():
        raise _gone(str(path), "start", file)
    digest = found.get("sha256")
    if digest is not None and backbone_weights(architecture.backbone) != digest:
        raise _changed(str(path or f"the library's weights of {architecture.backbone.name}"),
                       "start", file)  # fmt: skip
    text = f"the weights in {path}" if path is not None else "the library's trained weights"
    return Beginning(FromScratch(), architecture, text)


def _has_weights(backbone: Backbone) -> bool:
    arguments = dict(backbone.arguments)
    return bool(arguments.get("pretrained")) or arguments.get("weights") is not None


def _gone(what: str, key: str, file: str) -> InputError:
    return InputError(
        f"the weights that the training is to begin with are gone: there is no {what}. "
        f"Put them back; {_OTHERWISE}",
        key=key,
        file=file,
    )


def _changed(what: str, key: str, file: str) -> InputError:
    return InputError(
        f"{what} has other weights than those that the search began with. "
        f"Put those back; {_OTHERWISE}",
        key=key,
        file=file,
    )


def _sha256(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None
