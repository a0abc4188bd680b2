"""What does a brief training cost, and does its speed cost accuracy?

Question: seconds a trial with `attnas.evaluator.train` against a plain PyTorch loop as
tutorials write it (a Dataset of pictures, a DataLoader with 2 workers, transforms image by
image, float32, contiguous maps, one resolution), on the same network, initial weights, data,
epochs, batch size and learning rates. Goal: at least 2 times faster at equal accuracy.

    python -m benchmarks.training --data PATH

PATH is CIFAR-10 as Parquet (Hugging Face's image layout). Three loops (the third is ours at full
resolution; `--loops tutorial attnas` leaves it out) by three seeds, a ResNet-8 with SE on 10,000
images, one thread for the network; about 20 minutes on a quiet machine of 2020. Stopped, the same
command goes on. The loops take turns, so that other programs slow all of them. `--quick`
(seconds, meaningless figures) takes digits.

Columns: seconds are wall clock, `cpu_s` is processor time, loader's processes included; `ratio` is
that of the tutorial's time over ours, median over the seeds.
"""

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from attnas.core import InputError
from attnas.evaluator import Data, Pool, Recipe, load_data, make_task, one_cycle, train
from attnas.evaluator.augmentation import resolve
from attnas.evaluator.data.statistics import channel_statistics
from attnas.search_space import Architecture, Backbone, build, stage_decisions

from .provenance import RESULTS, print_table, provenance, read_json, write_json

TASK = make_task("classification", {})
OPTION = "se:r8@residual"
SEEDS = (0, 1, 2)
WORKERS = 2


class Pictures(Dataset[tuple[Tensor, int]]):
    """Pictures with the usual transforms, one by one: pad, crop, mirror, tensor, normalise."""

    def __init__(self, pool: Pool, data: Data, augment: str) -> None:
        arrays = pool.inputs[:].permute(0, 2, 3, 1).numpy()
        self.pictures = [Image.fromarray(a[:, :, 0] if a.shape[2] == 1 else a) for a in arrays]
        self.labels = pool.targets.tolist()
        mean, std = channel_statistics(data.train.inputs)
        self.mean, self.std = mean[:, None, None] / 255, std[:, None, None] / 255
        self.augment = augment

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = self.pictures[index]
        if self.augment in ("crop", "flip_crop"):
            width, height = picture.size
            pad = height // 8
            left, top = torch.randint(2 * pad + 1, (2,)).tolist()
            picture = ImageOps.expand(picture, pad).crop((left, top, left + width, top + height))
        if self.augment == "flip_crop" and torch.rand(1).item() < 0.5:
            picture = ImageOps.mirror(picture)
        array = np.asarray(picture)
        array = array[:, :, None] if array.ndim == 2 else array
        image = torch.from_numpy(array.transpose(2, 0, 1).copy()).float() / 255
        return (image - self.mean) / self.std, self.labels[index]


def tutorial(network: nn.Module, data: Data, recipe: Recipe, seed: int) -> float:
    """Trains as tutorials do; the accuracy on the validation split."""
    torch.manual_seed(seed)
    augment = resolve(recipe.augment, data.input_shape[0])
    loader = DataLoader(
        Pictures(data.train, data, augment), recipe.batch_size, shuffle=True, num_workers=WORKERS
    )
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )
    steps = recipe.epochs * len(loader)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: one_cycle(min(step, steps - 1), steps, recipe.warmup)
    )
    network.train()
    for _ in range(recipe.epochs):
        for images, labels in loader:
            loss = F.cross_entropy(network(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    network.eval()
    right = 0
    with torch.no_grad():
        validation = Pictures(data.validation, data, "none")
        for images, labels in DataLoader(validation, recipe.batch_size, num_workers=WORKERS):
            right += int((network(images).argmax(1) == labels).sum())
    return right / len(data.validation)


def ours(network: nn.Module, data: Data, recipe: Recipe, seed: int) -> float:
    return train(network, data, TASK, recipe, seed=seed).metrics["accuracy"]


def ours_at_full_resolution(network: nn.Module, data: Data, recipe: Recipe, seed: int) -> float:
    return ours(network, data, recipe.model_copy(update={"half_resolution": 0}), seed)


LOOPS: Mapping[str, Callable[[nn.Module, Data, Recipe, int], float]] = {
    "tutorial": tutorial,
    "attnas": ours,
    "attnas at full resolution": ours_at_full_resolution,
}


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(arguments)
    torch.set_num_threads(1)
    if options.quick:
        data, recipe = load_data("digits", TASK, train=300, validation=200), Recipe(epochs=1)
    else:
        data = load_data("parquet", TASK, path=options.data, train=10_000, validation=5_000)
        recipe = Recipe()
    settings = {
        "recipe": recipe.model_dump(),
        "data": data.facts,
        "option": OPTION,
        "seeds": list(SEEDS),
        "workers": WORKERS,
    }
    trainings = _earlier(options.out, settings)
    for seed in SEEDS:
        for loop in options.loops:
            if any((t["loop"], t["seed"]) == (loop, seed) for t in trainings):
                continue
            trainings.append(_training(loop, seed, data, recipe))
            content = {
                "question": "What does a brief training cost, and does its speed cost accuracy?",
                "provenance": provenance(arguments, "benchmarks.training"),
                "settings": settings,
                "table": table(trainings),
                "trainings": trainings,
            }
            write_json(options.out, content)
            print(f"seed {seed}: {loop}  {trainings[-1]['seconds']:.0f} s", flush=True)
    rows = table(trainings)
    print_table(list(rows[0]), [list(row.values()) for row in rows])


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--data", type=Path, help="CIFAR-10 as Parquet, a file or a folder")
    parser.add_argument("--out", type=Path, default=RESULTS / "training.json")
    parser.add_argument("--loops", nargs="+", choices=list(LOOPS), default=list(LOOPS))
    parser.add_argument("--quick", action="store_true", help="digits, one epoch")
    options = parser.parse_args(arguments)
    if not options.quick and options.data is None:
        parser.error("--data is needed (or --quick)")
    return options


def _earlier(out: Path, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    known = read_json(out)
    if known is None:
        return []
    if known["settings"] != settings:
        raise InputError("was made with other settings. Move it away or give --out.", file=str(out))
    return list(known["trainings"])


def _training(loop: str, seed: int, data: Data, recipe: Recipe) -> dict[str, Any]:
    backbone = Backbone("resnet_cifar", (("depth", 8),), data.input_shape, (len(data.classes),))
    architecture = Architecture.read(backbone, stage_decisions(backbone), [OPTION] * 3)
    network = build(architecture, seed=seed)
    begin, cpu_begin = time.monotonic(), _processor_seconds()
    accuracy = LOOPS[loop](network, data, recipe, seed)
    return {
        "loop": loop,
        "seed": seed,
        "accuracy": accuracy,
        "seconds": round(time.monotonic() - begin, 2),
        "cpu_seconds": round(_processor_seconds() - cpu_begin, 2),
    }


def _processor_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def table(trainings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row per loop over the seeds that it has, with ratios to the tutorial's seconds."""
    base = {t["seed"]: t for t in trainings if t["loop"] == "tutorial"}
    rows = []
    for loop in LOOPS:
        mine = [t for t in trainings if t["loop"] == loop]
        if not mine:
            continue
        accuracies = [t["accuracy"] for t in mine]
        row = {
            "loop": loop,
            "accuracy": round(float(np.mean(accuracies)), 4),
            "sd": round(float(np.std(accuracies, ddof=1)), 4) if len(mine) > 1 else "",
        }
        for column, name in (("seconds", "seconds"), ("cpu_s", "cpu_seconds")):
            paired = [base[t["seed"]][name] / t[name] for t in mine if t["seed"] in base]
            row[column] = round(float(np.median([t[name] for t in mine])), 1)
            row[f"ratio_{column}"] = round(float(np.median(paired)), 2) if paired else ""
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
