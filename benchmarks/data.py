"""What do data cost that do not fit memory?

Question: with 1,000,000 images of 64x64 (12.3 GB decoded), how long is decoding, how much memory
does a process take, and how fast are batches beside those of data in memory? Goals: less than
2 GB of memory at the peak; batches within 5 % of those in memory.

    python -m benchmarks.data --folder PATH

PATH needs room for 15 GB: it gets the images as Parquet (JPEG, drawn from a seed) and the decoded
ones. About 20 minutes on two cores; what was made is kept for the next call. `--quick` (a minute)
takes 20,000 images in a temporary folder.

Every figure is of a process of its own. Batches are timed with a training around them, a ResNet-8
in batches of 128, and alone; data in memory are the same images, as many as 1 GB holds. Both take
turns, `--rounds` times. Columns: images a second (median over the rounds, and from the slowest to
the fastest), the ratio to data in memory in the same round (median), and the peak of the process's
own memory.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .provenance import RESULTS, print_table, provenance, write_json

IMAGES, QUICK_IMAGES = 1_000_000, 20_000
SIDE, CLASSES, FILES = 64, 10, 20
BATCH = 128
IN_MEMORY = 80_000  # images, 1 GB
GOAL_GB, GOAL_RATIO = 2.0, 0.95


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    if options.measure:
        print(json.dumps(_measure(options)))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary)
        _write_images(folder / "images", options.images)
        rows = _rows(folder, options)
    _show(rows)
    content = {**provenance(arguments, "benchmarks.data"), "images": options.images, "rows": rows}
    if not options.quick:
        write_json(options.out, content)
    return 0


def _rows(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    decoding = _in_process(folder, "decode", options)
    print(f"decoded in {decoding['seconds']:.0f} s, peak {decoding['peak_gb']:.2f} GB", flush=True)
    rows: list[dict[str, Any]] = [{"what": "decoding", **decoding}]
    for what in ("training", "batches"):
        pairs = [
            {where: _in_process(folder, f"{what}-{where}", options) for where in ("memory", "disk")}
            for _ in range(options.rounds)
        ]
        ratios = [pair["disk"]["per_second"] / pair["memory"]["per_second"] for pair in pairs]
        for where in ("memory", "disk"):
            speeds = [pair[where]["per_second"] for pair in pairs]
            row = {
                "what": f"{what} from {where}",
                "per_second": statistics.median(speeds),
                "slowest": min(speeds),
                "fastest": max(speeds),
                "peak_gb": max(pair[where]["peak_gb"] for pair in pairs),
            }
            rows.append(row | ({"ratio": statistics.median(ratios)} if where == "disk" else {}))
    return rows


def _in_process(folder: Path, what: str, options: argparse.Namespace) -> dict[str, Any]:
    """One figure, taken in a process of its own."""
    given = {"measure": what, "folder": folder, "steps": options.steps, "images": options.images}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.data", *(f"--{k}={v}" for k, v in given.items())],
        env={**os.environ, "ATTNAS_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    import torch

    from attnas.evaluator import Pool, Recipe, load_data, make_task
    from attnas.evaluator.batches import Batches
    from attnas.evaluator.data import Data

    what, _, where = options.measure.partition("-")
    begin = time.monotonic()
    data = load_data(
        "parquet", make_task("classification", {}), path=Path(options.folder) / "images"
    )
    if what == "decode":
        return {"seconds": time.monotonic() - begin, "peak_gb": _peak_gb()}
    if where == "memory":
        count = min(IN_MEMORY, len(data.train))
        pool = data.train.first(count)
        train = Pool(pool.inputs[0:count], pool.targets)
        data = Data(train, data.validation, data.test, data.classes, data.facts)
    torch.set_num_threads(1)
    batches = Batches(data, Recipe(batch_size=BATCH), layout=torch.channels_last)
    step = _training(data) if what == "training" else (lambda *_: None)
    warm = 5
    for i, (inputs, targets) in enumerate(batches.epoch(0, 0)):
        if i == warm:
            begin = time.monotonic()
        step(inputs, targets)
        if i == warm + options.steps:
            break
    seconds = time.monotonic() - begin
    return {"per_second": options.steps * BATCH / seconds, "peak_gb": _peak_gb()}


def _training(data: Any) -> Any:
    """A step of a training: forward, backward, update."""
    import torch
    import torch.nn.functional as F

    from attnas.search_space import Architecture, build, make_backbone

    backbone = make_backbone(
        name="resnet_cifar",
        arguments={"depth": 8, "width": 16},
        input_shape=data.input_shape,
        output_shape=(len(data.classes),),
    )
    network = build(Architecture.plain(backbone), seed=0).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)

    def step(inputs: Any, targets: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(network(inputs), targets).backward()
        optimizer.step()

    return step


def _write_images(folder: Path, images: int) -> None:
    """Blurred noise as JPEG in FILES files, of a colour that tells the class."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "images.json"
    if done.exists() and json.loads(done.read_text()) == images:
        return
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (CLASSES, 3))
    for number in range(FILES):
        rows, labels = [], []
        for _ in range(images // FILES):
            label = int(rng.integers(CLASSES))
            grid = rng.integers(0, 256, (4, 4, 3)) // 2 + colours[label] // 2
            out = io.BytesIO()
            coarse = Image.fromarray(grid.astype(np.uint8))
            coarse.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(out, "jpeg", quality=85)
            rows.append({"bytes": out.getvalue(), "path": None})
            labels.append(label)
        table = pa.table({"image": rows, "label": labels})
        pq.write_table(table, folder / f"train-{number:02}.parquet", row_group_size=2000)
        print(f"wrote {number + 1} of {FILES} files", file=sys.stderr, flush=True)
    done.write_text(json.dumps(images))


def _peak_gb() -> float:
    """The most memory that the process has held, in GB."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e9


def _show(rows: list[dict[str, Any]]) -> None:
    head = ("what", "images/s", "from - to", "of memory's", "peak GB")
    lines = []
    for row in rows:
        if "seconds" in row:
            lines.append(
                (row["what"], "-", f"{row['seconds']:.0f} s", "-", f"{row['peak_gb']:.2f}")
            )
            continue
        ratio = f"{row['ratio']:.1%}" if "ratio" in row else "-"
        span = f"{row['slowest']:,.0f} - {row['fastest']:,.0f}"
        speed = f"{row['per_second']:,.0f}"
        lines.append((row["what"], speed, span, ratio, f"{row['peak_gb']:.2f}"))
    print_table(head, lines)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.data", description=__doc__.splitlines()[0])
    parser.add_argument("--folder", help="where images and decoded images are kept")
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=300, help="batches that are timed")
    parser.add_argument("--out", type=Path, default=RESULTS / "data.json")
    parser.add_argument("--quick", action="store_true", help="few images, meaningless figures")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.quick:
        options.images, options.rounds, options.steps = QUICK_IMAGES, 1, 30
    if options.folder is None and not options.quick:
        parser.error("--folder is needed: a place with room for 15 GB")
    return options


if __name__ == "__main__":
    sys.exit(main())
