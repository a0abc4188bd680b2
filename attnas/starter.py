"""A config for what a user has: a folder of photos, a model of timm or torchvision."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attnas.core import InputError, nearest
from attnas.evaluator import FolderSurvey, survey
from attnas.search_space import Attention, Backbone, make_backbone

SIDE = 224  # what models of libraries are made for
_STEP = 32  # their strides multiply to this
_ENOUGH_TEST_IMAGES = 200


def starter(
    *,
    folder: str | None = None,
    timm: str | None = None,
    torchvision: str | None = None,
    pretrained: bool = False,
) -> tuple[dict[str, Any], list[str]]:
    """The content of a config, and what a newcomer should know of it, in sentences.

    Raises:
        InputError: the folder has no classes of images or cannot be read, or there is no such
            model; the message names the nearest.
    """
    if timm is not None and torchvision is not None:
        raise InputError("give either --timm or --torchvision.", key="--timm")
    if pretrained and timm is None and torchvision is None:
        raise InputError("name the model that has the weights: --timm or --torchvision.",
                         key="--pretrained")  # fmt: skip
    notes: list[str] = []
    found = None if folder is None else _surveyed(folder)
    side = SIDE if found is None else _side(found)
    content: dict[str, Any] = {"name": "my-search"}
    if found is None:
        content["data"] = {"source": "digits"} if timm is None and torchvision is None else {
            "source": "folder", "path": "photos", "image_size": side
        }  # fmt: skip
    else:
        content["data"] = {"source": "folder", "path": folder, "image_size": side}
        notes += _folder_notes(found, side)
    section, backbone = _network(timm, torchvision, pretrained, found, side)
    space, more = _space(backbone)
    notes += more
    if found is None and backbone is not None:
        notes.append("Put a folder with one folder of images per class where data.path says.")
    content |= {
        "search_space": {"backbone": section, **space},
        "baselines": _baselines(space),
        "objectives": {"accuracy": "max", "latency_ms": "min"},
        "constraints": {"latency_ms": "<= 1.15x"},
        "device": {"name": "torch-cpu", "threads": 1, "batch_size": 1},
        "strategy": None,
        "training": {"epochs": 6, "batch_size": 64},
        "budget": {"trials": 20},
        "seed": 0,
    }
    return content, notes


def _surveyed(folder: str) -> FolderSurvey:
    path = Path(folder)
    if not path.exists():
        beside = path.parent
        names = sorted(p.name for p in beside.iterdir() if p.is_dir()) if beside.is_dir() else []
        near = nearest(path.name, names)
        hint = f" Did you mean '{beside / near}'?" if near else ""
        raise InputError(f"there is no folder '{folder}'.{hint}", key="--folder")
    try:
        return survey(path)
    except InputError as error:
        raise InputError(error.problem, key="--folder") from error
    except OSError as error:
        raise InputError(
            f"'{folder}' cannot be read: {error.strerror or error}.", key="--folder"
        ) from error


def _side(found: FolderSurvey) -> int:
    """The side that images are scaled to: the shorter one of the usual image, a multiple of the
    strides, at most what models are made for."""
    sides = sorted(min(size) for size in found.sizes)
    usual = sides[len(sides) // 2]
    return usual if usual < 2 * _STEP else min(SIDE, usual // _STEP * _STEP)


def _folder_notes(found: FolderSurvey, side: int) -> list[str]:
    counts = found.counts["train"]
    total = sum(counts.values())
    shown = ", ".join(f"{name} ({count})" for name, count in list(counts.items())[:8])
    more = f" and {len(counts) - 8} more" if len(counts) > 8 else ""
    notes = [f"{total:,} images of {len(counts)} classes: {shown}{more}."]
    (height, width), *others = sorted(set(found.sizes))
    what = "Images differ in size" if others else f"Images are all {width} x {height}"
    notes.append(f"{what}; they are scaled to {side} x {side} (data.image_size).")
    apart = [part for part in ("validation", "test") if part in found.counts]
    missing = [part for part in ("validation", "test") if part not in found.counts]
    if apart:
        notes.append(f"The folder sets {' and '.join(apart)} apart.")
    if missing:
        notes.append(f"A fifth of the images each is set apart for {' and '.join(missing)}.")
    test = sum(found.counts["test"].values()) if "test" in found.counts else total // 5
    if test < _ENOUGH_TEST_IMAGES:
        notes.append(
            f"About {test} test images tell apart only large differences: `attnas confirm` will "
            "say how sure it is."
        )
    return notes


def _network(
    timm: str | None,
    torchvision: str | None,
    pretrained: bool,
    found: FolderSurvey | None,
    side: int,
) -> tuple[dict[str, Any], Backbone | None]:
    """The section of the network, and the network itself where it is a library's."""
    libraries = {"timm": timm, "torchvision": torchvision}
    named = {library: model for library, model in libraries.items() if model is not None}
    if not named:
        small = found is None or side < 2 * _STEP
        name, depth = ("resnet_cifar", 8) if small else ("resnet", 18)
        return {"name": name, "depth": depth}, None
    [library] = named
    classes = 10 if found is None else len(found.counts["train"])
    channels = 3 if found is None else found.channels
    try:
        backbone = make_backbone(
            libraries=named,
            arguments={},
            input_shape=(channels, side, side),
            output_shape=(classes,),
        )
    except InputError as error:
        raise InputError(error.problem, key=f"--{library}") from error
    return {**named, "pretrained": pretrained}, backbone


def _space(backbone: Backbone | None) -> tuple[dict[str, Any], list[str]]:
    """What is decided: on attention that is there already, else where blocks can be added."""
    usual = {
        "blocks": ["none", "se", "eca", "cbam"],
        "ratios": [4, 8, 16],
        "placements": ["residual"],
    }
    if backbone is None:
        return usual, []
    stages = backbone.stage_names
    gates = sum(len(Attention(stage).present(backbone)) for stage in stages)
    if gates:
        return {
            "blocks": ["keep", "none", "eca", "se"],
            "ratios": [4, 8, 16],
            "placements": ["attention"],
            "per": "unit",
        }, [f"The network has attention at {gates} places: each is kept, taken away or replaced."]
    having = {p for stage in stages for sites in backbone.sites(stage) for p in sites}
    placement = next((p for p in ("residual", "post", "pre") if p in having), "post")
    return {**usual, "placements": [placement]}, [
        f"Blocks are placed at '{placement}' in {len(stages)} stages; `attnas inspect` shows where."
    ]


def _baselines(space: Mapping[str, Sequence[str]]) -> list[str]:
    """What one would place by hand."""
    [placement] = space["placements"]
    return [f"se:r16@{placement}", f"eca@{placement}"]
