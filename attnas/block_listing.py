"""The attention blocks as rows of a table, and as the page docs/blocks.md."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, get_args

from attnas.core import InputError, unknown
from attnas.search_space import BLOCKS, Block, Family

if TYPE_CHECKING:
    from torch import nn

FIGURES = Path(__file__).with_name("block_figures.json")
"""The rows of our own blocks, which `write_figures` computes: listing them loads no torch."""

CHANNELS, SIDE = 64, 32
"""The map that figures are given for."""

WARMUP, RUNS = 5, 30
FAMILIES: tuple[str, ...] = get_args(Family)
ORDERS = ("block", "family", "params", "flops", "latency", "year")


def block_rows(
    *, family: str | None = None, order: str = "block", measure: bool = False
) -> list[dict[str, Any]]:
    """One row a block, `none` first: what it is, what its ratio means, and what it costs.

    Parameters and operations are those at 64 channels on a 32 x 32 map, with ratio 16 or else
    the middle one; `measure` adds the latency of one image on one thread of this machine.

    Raises:
        InputError: there is no such family or order.
    """
    if family is not None and family not in FAMILIES:
        raise unknown("family", family, FAMILIES).inside(key="--family")
    if order not in ORDERS or (order == "latency" and not measure):
        hint = " Add --measure." if order == "latency" else ""
        raise InputError(f"cannot sort by '{order}': {', '.join(ORDERS)}.{hint}", key="--sort")
    kept = _kept_figures()
    rows = [dict(kept[name]) if name in kept else _row(BLOCKS[name]) for name in BLOCKS]
    rows = [row for row in rows if family in (None, row["family"])]
    if measure:
        chosen = [BLOCKS[row["block"]] for row in rows]
        for row, ms in zip(rows, _latencies(chosen), strict=True):
            row["latency_ms"] = ms
    key = {"params": "params_at_64", "flops": "flops_at_64", "latency": "latency_ms"}.get(order)
    rows.sort(key=lambda row: (row[key or order] is None, row[key or order], row["block"]))
    if family is not None:
        return rows
    return [_NONE, *rows]


def block_table(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with what fits a terminal."""
    shown = []
    for row in rows:
        entry = {
            "block": row["block"],
            "family": row["family"],
            "ratio": row["ratio_means"],
            "params": row["params_at_64"],
            "flops": row["flops_at_64"],
            "year": row["year"] or "",
            "paper": row["paper"],
        }
        shown.append(entry)
    if any(row["latency_ms"] for row in rows):
        for entry, row in zip(shown, rows, strict=True):
            entry["ms"] = "" if row["latency_ms"] is None else f"{row['latency_ms']:.3f}"
    papers = [entry.pop("paper") for entry in shown]  # the widest comes last
    return [{**entry, "paper": paper} for entry, paper in zip(shown, papers, strict=True)]


def figures() -> dict[str, dict[str, Any]]:
    """The row of each of our own blocks by name, computed."""
    entries = [entry for _, entry in BLOCKS.items() if _is_ours(entry)]
    return {entry.name: _row(entry) for entry in entries}


def write_figures() -> None:
    """Computes the rows of our own blocks anew and keeps them in `FIGURES`."""
    FIGURES.write_text(json.dumps(figures(), indent=1, ensure_ascii=False) + "\n", "utf-8")


def _is_ours(entry: Block) -> bool:
    return entry.module.__module__.startswith("attnas.search_space.blocks.")


def _kept_figures() -> Mapping[str, dict[str, Any]]:
    """The rows in `FIGURES` but those of blocks that a user has put in the place of ours."""
    others = {entry.name for entry in BLOCKS.loaded() if not _is_ours(entry)}
    rows = json.loads(FIGURES.read_text("utf-8"))
    return {name: row for name, row in rows.items() if name not in others}


def _row(entry: Block) -> dict[str, Any]:
    ratio = _usual_ratio(entry)
    return {
        "block": entry.name,
        "family": entry.family or "",
        "kind": entry.kind,
        "ratios": ", ".join(map(str, entry.ratios)),
        "ratio_means": entry.ratio_means,
        "params_at_64": entry.params(CHANNELS, SIDE, SIDE, ratio),
        "flops_at_64": _flops(entry),
        "latency_ms": None,
        "paper": entry.paper,
        "year": entry.year,
        "what": _first_line(entry.module.__doc__),
    }


@cache
def _flops(entry: Block) -> int:
    from attnas.evaluator import complexity

    return complexity(_made(entry), (CHANNELS, SIDE, SIDE)).flops


_NONE: dict[str, Any] = {
    "block": "none",
    "family": "",
    "kind": "",
    "ratios": "",
    "ratio_means": "",
    "params_at_64": 0,
    "flops_at_64": 0,
    "latency_ms": None,
    "paper": "",
    "year": None,
    "what": "no attention",
}


def _usual_ratio(entry: Block) -> int | None:
    known = entry.ratios
    return 16 if 16 in known else known[len(known) // 2] if known else None


def _made(entry: Block) -> "nn.Module":
    return entry.make(CHANNELS, _usual_ratio(entry), identity_start=False, size=(SIDE, SIDE))


def _latencies(chosen: Sequence[Block]) -> list[float]:
    """Median milliseconds of one image by block, on one thread of this machine's processor."""
    from attnas.evaluator import device

    on = device("torch-cpu")
    found = []
    with on.measuring():
        for entry in chosen:
            run = on.prepare(_made(entry), (CHANNELS, SIDE, SIDE))
            found.append(_median_ms(run, on.clock))
    return found


def _median_ms(run: Callable[[], None], clock: Callable[[], int]) -> float:
    taken = []
    for number in range(WARMUP + RUNS):
        began = clock()
        run()
        if number >= WARMUP:
            taken.append(clock() - began)
    return median(taken) / 1e6


def _first_line(doc: str | None) -> str:
    return (doc or "").strip().split("\n")[0]
