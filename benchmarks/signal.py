"""How far can a brief training be believed?

Question: 12 architectures are trained with two seeds. How alike are the two rankings, and how
much of a difference to the plain backbone is noise? With common random numbers and
near-identity starts (the default of a search) and without either; scored by accuracy and by
loss, on 5,000 and on 20,000 validation images. The defaults of `Recipe` follow from it.

    python -m benchmarks.signal --data PATH

PATH is CIFAR-10 as Parquet (Hugging Face's image layout). 48 trainings of a ResNet-8 on 10,000
images, one thread, about 50 minutes on a quiet core of 2020. Stopped, the same command goes on.
`--seeds 4` trains with more seeds, and tells how far the mean of two trainings can be believed.
`--quick` (seconds, meaningless figures) takes three architectures on digits.

Columns: `trainings` is how many a score is the mean of. r and tau are Pearson's and Kendall's
correlation between the scores of two disjoint sets of seeds, averaged over all such. `noise` is the
standard deviation, from seed to seed, of the difference between an architecture and `none`;
`spread` is that of the differences between architectures, without the noise. `pair` is the
standard error of such a difference in accuracy that the images alone account for (paired).
"""

import argparse
import base64
import time
import zlib
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau, pearsonr

from attnas.evaluator import Data, Recipe, evaluate, load_data, make_task, train
from attnas.search_space import Architecture, Backbone, build, stage_decisions

from .provenance import RESULTS, earlier_trainings, print_table, provenance, write_json

TASK = make_task("classification", {})
ARMS = {
    "common": "common random numbers, near-identity starts",
    "independent": "own seeds, the papers' starts",
}
# One option for all three stages, or one for each.
ARCHITECTURES = (
    "none",
    "se:r8@residual",
    "eca@residual",
    "cbam:r8@post",
    "scse:r8@residual",
    "sse@post",
    "coord:r8@residual",
    "gc:r8@pre",
    "simam@post",
    "ese@pre",
    "se:r4@post",
    "eca@post none cbam:r4@identity",
)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(arguments)
    torch.set_num_threads(1)
    data, sizes, recipe, names = _setting(options)
    settings = {
        "recipe": recipe.model_dump(),
        "data": data.facts,
        "validation": list(sizes),
        "architectures": list(names),
    }
    trainings = earlier_trainings(options.out, settings)
    for arm in options.arms:
        for text in names:
            for seed in range(options.seeds):
                if any(_key(t) == (arm, seed, text) for t in trainings):
                    continue
                trainings.append(_training(arm, seed, text, data, sizes, recipe))
                _write(options.out, settings, trainings, provenance(arguments, "benchmarks.signal"))
                last = trainings[-1]
                print(f"{arm} seed {seed}: {text}  {last['cpu_seconds']:.0f} s", flush=True)
    rows = _write(options.out, settings, trainings, provenance(arguments, "benchmarks.signal"))
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    seconds = [t["cpu_seconds"] for t in trainings]
    print(f"processor time of a candidate: {np.mean(seconds):.0f} s, at most {max(seconds):.0f} s")


def _write(
    out: Path,
    settings: Mapping[str, Any],
    trainings: Sequence[Mapping[str, Any]],
    source: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Writes the trainings with their table, and returns the table."""
    rows = table(trainings, settings["architectures"], settings["validation"])
    content = {
        "question": "How far can a brief training be believed?",
        "provenance": source,
        "settings": settings,
        "table": rows,
        "trainings": trainings,
    }
    write_json(out, content)
    return rows


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--data", type=Path, help="CIFAR-10 as Parquet, a file or a folder")
    parser.add_argument("--out", type=Path, default=RESULTS / "signal.json")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--seeds", type=int, choices=range(2, 11), default=2, metavar="2..10")
    parser.add_argument("--quick", action="store_true", help="digits, three architectures")
    options = parser.parse_args(arguments)
    if not options.quick and options.data is None:
        parser.error("--data is needed (or --quick)")
    return options


def _setting(
    options: argparse.Namespace,
) -> tuple[Data, tuple[int, int], Recipe, tuple[str, ...]]:
    if options.quick:
        data = load_data("digits", TASK, train=300, validation=200)
        return data, (100, 200), Recipe(epochs=1), ARCHITECTURES[:3]
    data = load_data("parquet", TASK, path=options.data, train=10_000, validation=20_000)
    return data, (5_000, 20_000), Recipe(), ARCHITECTURES


def _key(training: Mapping[str, Any]) -> tuple[str, int, str]:
    return training["arm"], training["seed"], training["architecture"]


def architecture(text: str, data: Data, *, identity_start: bool = True) -> Architecture:
    """`resnet_cifar` of depth 8 with one option for all stages, or one for each."""
    backbone = Backbone("resnet_cifar", (("depth", 8),), data.input_shape, (len(data.classes),))
    texts = text.split()
    each = texts if len(texts) > 1 else texts * len(backbone.stage_names)
    return Architecture.read(backbone, stage_decisions(backbone), each, identity_start)


def _training(
    arm: str, seed: int, text: str, data: Data, sizes: tuple[int, int], recipe: Recipe
) -> dict[str, Any]:
    common = arm == "common"
    own_seed = seed if common else zlib.crc32(f"{seed} {text}".encode())
    begin, cpu_begin = time.monotonic(), time.process_time()
    network = build(architecture(text, data, identity_start=common), seed=own_seed)
    result = train(network, data, TASK, recipe, seed=own_seed)
    taken = {"seconds": time.monotonic() - begin, "cpu_seconds": time.process_time() - cpu_begin}
    few = evaluate(network, data.validation.first(sizes[0]), data, TASK, recipe)
    assert few.scores is not None
    scored = dict(zip(map(str, sizes), (few.metrics, result.metrics), strict=True))
    return {
        "arm": arm,
        "seed": seed,
        "architecture": text,
        "accuracy": {size: metrics["accuracy"] for size, metrics in scored.items()},
        "loss": {size: metrics["validation_loss"] for size, metrics in scored.items()},
        **{name: round(value, 2) for name, value in taken.items()},
        "correct": base64.b64encode(few.scores.content).decode(),  # of the fewer images
    }


def table(
    trainings: Sequence[Mapping[str, Any]], names: Sequence[str], sizes: Sequence[int]
) -> list[dict[str, Any]]:
    """One row per arm, score and number of validation images, for arms that are complete."""
    rows = []
    done = {_key(t): t for t in trainings}
    for arm in ARMS:
        seeds = sorted({seed for own_arm, seed, _ in done if own_arm == arm})
        keys = [[(arm, seed, name) for name in names] for seed in seeds]
        chosen = [[done[key] for key in row] for row in keys if all(key in done for key in row)]
        for count in (1, 2):
            if len(chosen) < 2 * count:
                continue
            for score in ("accuracy", "loss"):
                for size in sizes:
                    values = np.array([[t[score][str(size)] for t in row] for row in chosen])
                    pair = count == 1 and score == "accuracy" and size == sizes[0]
                    rows.append(
                        {"arm": arm, "trainings": count, "score": score, "images": size}
                        | reliability(values, count)
                        | {"pair": round(_paired_error(chosen, size), 5) if pair else ""}
                    )
    return rows


def reliability(values: np.ndarray, count: int = 1) -> dict[str, float | None]:
    """Agreement of two means of `count` seeds each; `values` (seeds, architectures).

    The first architecture is `none`. The figures are means (root mean squares) over all pairs of
    disjoint sets of seeds.
    """
    sets = list(combinations(range(len(values)), count))
    pairs = [(a, b) for a, b in combinations(sets, 2) if not set(a) & set(b)]
    splits = [np.array([values[list(a)].mean(0), values[list(b)].mean(0)]) for a, b in pairs]
    return {
        name: round(float(np.mean(found)), digits) if np.isfinite(found).all() else None
        for name, digits, found in (
            ("r", 3, [_correlation(pearsonr, split) for split in splits]),
            ("tau", 3, [_correlation(kendalltau, split) for split in splits]),
            ("noise", 5, [np.sqrt(np.mean([_noise(split) ** 2 for split in splits]))]),
            ("spread", 5, [np.sqrt(max(0.0, np.mean([_between(split) for split in splits])))]),
        )
    }


def _correlation(of: Any, split: np.ndarray) -> float:
    defined = (split != split[:, :1]).any(1).all()  # that with a constant is not
    return float(of(*split).statistic) if defined else np.nan


def _noise(split: np.ndarray) -> float:
    """Of one difference to `none`, from the two that were found of each."""
    differences = split[:, 1:] - split[:, :1]
    return float(np.sqrt(np.square(differences[0] - differences[1]).mean() / 2))


def _between(split: np.ndarray) -> float:
    """The variance between architectures without that of the noise; the seeds' shift apart."""
    within = (split[0] - split[1]).var(ddof=1) / 2
    return float(split.mean(0).var(ddof=1) - within / 2)


def _paired_error(trainings: Sequence[Sequence[Mapping[str, Any]]], images: int) -> float:
    """Root mean square, over architectures and seeds, of the paired standard error."""
    squares = []
    for row in trainings:
        bits = [
            np.unpackbits(np.frombuffer(base64.b64decode(t["correct"]), np.uint8), count=images)
            for t in row
        ]
        plain = bits[0].astype(int)
        squares += [(other - plain).var(ddof=1) / images for other in bits[1:]]
    return float(np.sqrt(np.mean(squares)))


if __name__ == "__main__":
    main()
