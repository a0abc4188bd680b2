"""Records a table of our own: every architecture of a small space, trained and measured.

Question: what do the architectures of one space really score, so that strategies can be
compared on it at no cost (`benchmarks.strategies`)?

    python -m benchmarks.record_table --data PATH [--out FILE]
    python -m benchmarks.record_table --data PATH --out FILE --rungs 1 3 9 \\
        --train 6000 --validation 10000 --architectures 85

The second records each architecture after every rung of one training (for
`benchmarks.halving`): its learning rate and image sizes are laid out for the last rung. So was
`cifar10-resnet8-rungs.parquet` made, and `cifar10-resnet8-paper-starts-rungs.parquet` with
`--architectures 60 --paper-starts`.

PATH is CIFAR-10 as Parquet (Hugging Face's image layout). One thread; about 4 s an
architecture on a quiet core of 2020, half an hour for all 340. Stopped, the same command goes
on. Writes FILE, and FILE with the ending .json: the settings, versions and processor.

The space: `resnet_cifar` of depth 8 and width 8 on images scaled to 16 x 16. The latency is
the processor time of one image on one thread, so other programs do not count; it is the
median of ratios to the plain backbone, measured in alternation.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch

from attnas.core import AttnasError
from attnas.evaluator import (
    Data,
    Device,
    Recipe,
    device,
    load_data,
    make_task,
    measure_latency,
    measure_reference,
    train,
)
from attnas.search_space import (
    Architecture,
    Backbone,
    Checkpoint,
    SearchSpace,
    build,
    make_backbone,
)

TABLE = Path(__file__).parent / "tables" / "cifar10-resnet8.parquet"
TASK = make_task("classification", {})
EPOCHS = 4
SIDE = 16
WIDTH = 8
SAVE_EVERY = 5


def recorded_space(backbone: Backbone, *, identity_start: bool = True) -> SearchSpace:
    """The space that the table holds: 4 x 5 x 17 options."""
    return SearchSpace.create(
        backbone,
        blocks=["none", "se", "eca", "cbam", "scse", "simam"],
        ratios=[4, 8],
        placements=["residual", "post"],
        stages={
            "layer1": {"blocks": ["none", "se", "eca", "scse"], "placements": ["residual"]},
            "layer2": {"blocks": ["none", "se", "eca"]},
        },
        identity_start=identity_start,
    )


def resnet8(
    input_shape: tuple[int, ...] = (3, SIDE, SIDE), classes: int = 10, width: int = WIDTH
) -> Backbone:
    return make_backbone(
        name="resnet_cifar",
        arguments={"depth": 8, "width": width},
        input_shape=input_shape,
        output_shape=(classes,),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(1)
    scaled = {} if options.source == "digits" else {"image_size": options.side}
    data = load_data(
        options.source,
        TASK,
        path=options.data,
        train=options.train,
        validation=options.validation,
        **scaled,
    )
    space = recorded_space(
        resnet8(data.input_shape, len(data.classes), options.width),
        identity_start=not options.paper_starts,
    )
    facts = facts_of(options, space, data)
    record(space, data, options.out, limit=options.architectures, facts=facts)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--data", help="the images: file or folder")
    parser.add_argument("--source", default="parquet", help="what kind of data that is")
    parser.add_argument("--out", type=Path, default=TABLE, help="the table's file")
    parser.add_argument("--train", type=int, default=4000, help="images to train on")
    parser.add_argument("--validation", type=int, default=6000, help="images to score on")
    parser.add_argument(
        "--rungs", type=int, nargs="+", default=[EPOCHS], help="epochs after which to score, rising"
    )
    parser.add_argument("--side", type=int, default=SIDE, help="images are scaled to, in pixels")
    parser.add_argument("--width", type=int, default=WIDTH, help="channels of the first stage")
    parser.add_argument("--architectures", type=int, help="stop when the table has so many")
    parser.add_argument(
        "--paper-starts",
        action="store_true",
        help="blocks begin as their papers say, not near the identity: architectures differ more",
    )
    return parser.parse_args(arguments)


def record(
    space: SearchSpace, data: Data, out: Path, *, limit: int | None, facts: dict[str, Any]
) -> None:
    """Adds the rows that the table lacks, in one random order, the plain backbone first.

    Raises:
        AttnasError: the table was begun with other settings.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    timer = timer_of(out, space, facts)
    rows = pd.read_parquet(out).to_dict("records") if out.exists() else []
    done = {space.architecture({name: row[name] for name in space.names}) for row in rows}
    order = [space.at(int(i)) for i in np.random.default_rng(0).permutation(space.size)]
    missing = [a for a in dict.fromkeys([space.plain, *order]) if a not in done]
    if limit is not None:
        missing = missing[: max(0, limit - len(done))]
    settings = facts["settings"]
    rungs = settings.get("rungs", [settings["epochs"]])
    for number, architecture in enumerate(missing, start=1):
        rows += rows_of(architecture, data, timer, rungs)
        if number % SAVE_EVERY == 0 or number == len(missing):
            save(pd.DataFrame(rows), out)
            print(f"{len(done) + number} of {space.size}: {rows[-1]}", flush=True)


class LatencyTimer:
    """Latencies relative to one measurement of the plain backbone."""

    def __init__(self, plain: Architecture, on: Device, reference_ms: float | None) -> None:
        self.on, self.shape = on, plain.backbone.input_shape
        self.reference = build(plain, seed=0).eval()
        self.reference_ms = reference_ms or self._measure_reference()

    def __call__(self, architecture: Architecture) -> tuple[float, float, float]:
        """The latency in ms and the ends of its 95 % interval."""
        [found] = measure_latency(
            self.on,
            [build(architecture, seed=0).eval()],
            self.reference,
            self.shape,
            rng=np.random.default_rng(0),
            reference_ms=self.reference_ms,
            max_seconds=1.0,
        )
        return found.ms, found.low, found.high

    def _measure_reference(self) -> float:
        return measure_reference(self.on, self.reference, self.shape, max_seconds=2.0).ms


def timer_of(out: Path, space: SearchSpace, facts: dict[str, Any]) -> LatencyTimer:
    """The timer of this table; its facts are written, or compared with those written before."""
    beside = out.with_suffix(".json")
    known = json.loads(beside.read_text()) if beside.exists() else None
    if known is not None and known["settings"] != facts["settings"]:
        raise AttnasError(f"{out} was begun with other settings: {known['settings']}.")
    on = device("torch-cpu", threads=1, batch_size=1)
    timer = LatencyTimer(space.plain, on, known and known["reference_ms"])
    if known is None:
        beside.write_text(json.dumps({**facts, "reference_ms": timer.reference_ms}, indent=2))
    return timer


def rows_of(
    architecture: Architecture, data: Data, timer: LatencyTimer, rungs: Sequence[int]
) -> list[dict[str, Any]]:
    """One row a rung, of a single training; `seconds` are processor time from its beginning."""
    params = sum(p.numel() for p in build(architecture, seed=0).parameters())
    latency_ms, low, high = timer(architecture)
    rows: list[dict[str, Any]] = []
    seconds = 0.0
    with TemporaryDirectory() as folder:
        checkpoint = Checkpoint.within(Path(folder), {"architecture": str(architecture)})
        for epochs in rungs:
            began = time.process_time()
            result = train(
                build(architecture, seed=0),
                data,
                TASK,
                Recipe(batch_size=64),
                seed=0,
                epochs=epochs,
                schedule_epochs=rungs[-1],
                checkpoint=checkpoint,
            )
            seconds += time.process_time() - began
            rows.append(
                {
                    **architecture.by_name,
                    "epochs": epochs,
                    **result.metrics,
                    "latency_ms": latency_ms,
                    "latency_low": low,
                    "latency_high": high,
                    "params": params,
                    "seconds": seconds,
                }
            )
    return rows


def save(frame: pd.DataFrame, out: Path) -> None:
    """Writes the whole table; a reader sees the old one or the new one."""
    partial = out.with_suffix(".partial")
    frame.to_parquet(partial, index=False)
    os.replace(partial, out)


def facts_of(options: argparse.Namespace, space: SearchSpace, data: Data) -> dict[str, Any]:
    return {
        "command": "python -m benchmarks.record_table --data PATH",
        "settings": {
            "epochs": options.rungs[-1],
            **({"rungs": options.rungs} if len(options.rungs) > 1 else {}),
            **({"width": options.width} if options.width != WIDTH else {}),
            **({"identity_start": False} if options.paper_starts else {}),
            "sizes": data.facts["sizes"],
            "image": data.facts["image"],
            "splits_sha256": data.facts["splits_sha256"],
            "space_size": space.size,
            "seed": 0,
        },
        "versions": {name: version(name) for name in ("torch", "numpy")},
        "python": platform.python_version(),
        "device": device("torch-cpu", threads=1, batch_size=1).describe(),
    }


if __name__ == "__main__":
    main()
