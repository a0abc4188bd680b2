"""The parts of `benchmarks.coverage` on marks of noise and on confirmations.

Networks are simulated: an item is got right where ease + what the network makes of it + what the
seed does + chance is above 0. All networks are equally good, so a mark, a 'real' or a 'came out
above' is wrong. `seed` spreads may be drawn from the deviations that three trainings of each
network of a recorded space have from their mean (`--tables`).
"""

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attnas.core import ItemScores
from attnas.results import Confirmation, Confirmed, ConfirmedScore, holm, paired_difference

from . import statistics_before as before

ACCURACY = "accuracy"
WINNER = 1
LOOKS = (3, 5, 8, 12, 20)
RECORDED = "nas_bench_macro_cifar10.parquet"


def marks(options: argparse.Namespace) -> dict[str, Any]:
    """No trial of a run is marked where none differs, the best included."""
    rng = np.random.default_rng(options.seed)
    repeats = 20 if options.quick else 400
    claims = []
    for items in (300, 5000):
        for trials in (1, 12, 40):
            quiet = {"now": 0, "before": 0}
            for _ in range(repeats):
                hits = _hits(rng, trials + 1, 1, items, np.zeros(trials + 1))[:, 0]
                scores = [ItemScores.of(ACCURACY, row) for row in hits]
                p_values = [paired_difference(s, scores[0]).p_value for s in scores[1:]]
                quiet["now"] += min(holm(p_values)) > 0.05
                quiet["before"] += not any(before.marked(row, hits[0]) for row in hits[1:])
            case = f"{trials} trials, {items} items"
            claims += _claims("no mark where nothing differs", case, quiet, repeats)
    return {"claims": claims}


def confirmations(options: argparse.Namespace) -> dict[str, Any]:
    """Intervals of the winner, false gains, others that are named, seeds added until it pleases."""
    rng = np.random.default_rng(options.seed)
    repeats = 20 if options.quick else 400
    drawn: dict[str, NDArray[np.float64] | None] = {"normal": None}
    if options.tables is not None:
        drawn["recorded"] = _deviations(options.tables)
    claims = []
    for spreads, deviations in drawn.items():
        for front, seeds, own in ((1, 3, 1), (5, 3, 1), (5, 3, 4), (5, 5, 4), (10, 5, 1)):
            case = f"front of {front}, {seeds} seeds, winner's spread x{own}, {spreads} seeds"
            found = list(_runs(rng, repeats, front, seeds, own, deviations))
            claims += _confirmed(case, found)
    claims += _optional_stopping(rng, repeats)
    return {"claims": claims}


def _runs(
    rng: np.random.Generator,
    repeats: int,
    front: int,
    seeds: int,
    own: float,
    deviations: NDArray[np.float64] | None,
    items: int = 500,
) -> Iterator[NDArray[np.bool_]]:
    """What is right: (1 + front, seeds, items); the winner is the second."""
    spreads = np.full(front + 1, 0.06)
    spreads[WINNER] *= own
    for _ in range(repeats):
        yield _hits(rng, front + 1, seeds, items, spreads, deviations)


def _hits(
    rng: np.random.Generator,
    networks: int,
    seeds: int,
    items: int,
    spreads: NDArray[np.float64],
    deviations: NDArray[np.float64] | None = None,
) -> NDArray[np.bool_]:
    shape = (networks, seeds, 1)
    moved = rng.normal(0, 1, shape) if deviations is None else rng.choice(deviations, shape)
    latent = (
        rng.normal(0.8, 1.2, items)
        + rng.normal(0, 0.6, (networks, 1, items))
        + rng.normal(0, 0.1, (1, seeds, 1))
        + moved * spreads[:, None, None]
        + rng.normal(0, 0.8, (networks, seeds, items))
    )
    return latent > 0


def _confirmed(case: str, runs: list[NDArray[np.bool_]]) -> list[dict[str, Any]]:
    held = {"now": 0, "before": 0}
    honest = {"now": 0, "before": 0}
    silent = {"now": 0, "before": 0}
    for hits in runs:
        made = _confirmation(hits)
        low, high = made.differences[WINNER - 1].interval
        rest = [made.is_better(d) for d in made.differences[WINNER:]]
        old = before.pooled_intervals(hits.astype(np.float64))
        ends = {"now": (low, high), "before": old[WINNER - 1]}
        others = {"now": any(rest), "before": any(a > 0 for a, _ in old[WINNER:])}
        for method, (low, high) in ends.items():
            held[method] += low <= 0 <= high
            honest[method] += not low > 0
            silent[method] += not others[method]
    claims = _claims("winner's interval holds the truth", case, held, len(runs))
    claims += _claims("no gain called real where there is none", case, honest, len(runs))
    if runs[0].shape[0] > 2:
        claims += _claims("no other named as above", case, silent, len(runs))
    return claims


def _optional_stopping(rng: np.random.Generator, repeats: int) -> list[dict[str, Any]]:
    """Seeds are added until the gain is called real, at most to the last look."""
    honest = {"now": 0, "before": 0}
    for hits in _runs(rng, repeats, 1, LOOKS[-1], 1, None):
        called = {"now": False, "before": False}
        for number, seeds in enumerate(LOOKS, 1):
            made = _confirmation(hits[:, :seeds], LOOKS[:number])
            called["now"] |= made.gain_is_real
            old = before.pooled_intervals(hits[:, :seeds].astype(np.float64))
            called["before"] |= old[0][0] > 0
        for method, real in called.items():
            honest[method] += not real
    case = f"seeds added until it is real, looks at {', '.join(map(str, LOOKS))}"
    return _claims("no gain called real where there is none", case, honest, repeats)


def _confirmation(hits: NDArray[np.bool_], looks: tuple[int, ...] = ()) -> Confirmation:
    def entry(number: int) -> Confirmed:
        scores = (ItemScores.of(ACCURACY, row) for row in hits[number])
        done = tuple(ConfirmedScore(seed, score) for seed, score in enumerate(scores))
        return Confirmed(number, {"stage": str(number)}, done)

    front = tuple(entry(number) for number in range(1, len(hits)))
    return Confirmation(entry(0), front, WINNER, 1, looks=looks)


def _deviations(folder: Any) -> NDArray[np.float64]:
    """Standardised deviations of three trainings from their mean, of every recorded network."""
    table = pd.read_parquet(folder / RECORDED)
    columns = [name for name in table if name.startswith("test_acc_seed")]
    values = table[columns].to_numpy(np.float64)
    apart = (values - values.mean(axis=1, keepdims=True)) * np.sqrt(3 / 2)
    return (apart / apart.std()).ravel()


def _claims(claim: str, case: str, held: dict[str, int], of: int) -> list[dict[str, Any]]:
    return [
        {"claim": claim, "case": case, "method": method, "held": int(count), "of": of}
        for method, count in held.items()
    ]
