"""What the cells of tables say, and the look that all tables have."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from attnas.core import described

if TYPE_CHECKING:
    from .run import Run

NOISE = "~"


def noise_note(run: "Run") -> str:
    """What the column `vs plain` is."""
    metric, by_seed = run.scored, any(d.degrees is not None for d in run.differences.values())
    name = metric.replace("_", " ")
    what = f"points of {name}" if described(metric).format == "percent" else f"difference of {name}"
    by = "seeds and items" if by_seed else "the items, after one training each"
    return (
        f"vs plain: {what} ± paired standard error by {by}; "
        f"{NOISE} within noise (p > 0.05, corrected for the number of trials)."
    )


def plain_table() -> Table:
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )


def with_interval(name: str, row: Mapping[str, Any], separator: str) -> Text:
    """A metric with its interval behind or below it."""
    metric = described(name)
    text = Text(str(row[name]) if name in ("epochs", "seeds") else metric.text(row.get(name)))
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    if low is not None and high is not None:
        text.append(f"{separator}{metric.text(low)}..{metric.text(high)}", style="dim")
    return text


def difference_text(
    metric: str, difference: float | None, standard_error: float | None, noise: bool | None
) -> Text:
    """The difference to the plain backbone, marked and dim within noise."""
    text = described(metric).difference(difference, standard_error)
    return Text(f"{text} {NOISE if noise else ' '}", style="dim" if noise else "")


def by_decision(options: Mapping[str, str], plain: Mapping[str, str]) -> Text:
    """A line a decision; faint what is as in the plain backbone."""
    lines = (
        Text(f"{name} ", style="dim").append(
            option, style=faint(option == plain.get(name)) or "not dim"
        )
        for name, option in options.items()
    )
    return Text("\n").join(lines)


def faint(plain: bool) -> str:
    return "dim" if plain else ""
