"""What a confirmation says, in sentences."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from .seeds import SeedDifference

if TYPE_CHECKING:
    from .confirmation import Confirmation, Confirmed


def verdict(made: "Confirmation") -> str:
    """One sentence: whether the winner's gain over the plain backbone is real."""
    found = {e.trial: (e, d) for e, d in zip(made.front, made.differences, strict=True)}
    if made.winner is None:
        return (
            "The plain backbone is best: the search itself recommends it"
            f"{_others(made, found.values())}."
        )
    entry, difference = found[made.winner]
    low, high = (made.metric.difference(end).lstrip("+") for end in difference.interval)
    head = (
        f"Trial {entry.trial} ({entry}) {_relation(made, difference)} "
        f"(95 % interval {low} to {high}, {_design(made, difference)})"
    )
    if difference.within_noise:
        said = f"{head}: within noise; {_what_would_tell(made, difference)}."
        return f"{said}{_beside_baselines(made)}"
    if made.is_better(difference):
        return f"{head}: the gain is real.{_beside_baselines(made)}"
    others = _others(made, [pair for trial, pair in found.items() if trial != made.winner])
    reason = "this architecture was luck" if others else "the plain backbone is best"
    return f"{head}: {reason}{others}."


def _design(made: "Confirmation", difference: SeedDifference) -> str:
    """What the interval was made of."""
    parts = [f"{difference.seeds} seeds"]
    if len(made.looks) > 1:
        parts.append(f"{len(made.looks)} looks")
    if made.start:
        parts.append(f"all from the weights of {made.start}")
    return ", ".join([*parts, f"{difference.items:,} test items"])


def _beside_baselines(made: "Confirmation") -> str:
    """A sentence on the winner and the baselines; empty if there are none."""
    own = next((name for name, n in made.baselines.items() if n == made.winner), None)
    if own is not None:
        return f" It is the baseline {own}."
    if not made.against_baselines:
        return ""
    parts = []
    for name, difference in made.against_baselines.items():
        ends = [made.metric.difference(end) for end in difference.interval]
        text = f"{made.metric.difference(difference.difference)} ({' to '.join(ends)})"
        parts.append(f"{text} against {name}")
    better = all(map(made.is_better, made.against_baselines.values()))
    head = "It beats every baseline" if better else "It is not shown to beat every baseline"
    return f" {head}: {', '.join(parts)}."


def _relation(made: "Confirmation", difference: SeedDifference) -> str:
    amount = made.metric.difference(abs(difference.difference)).lstrip("+")
    unit = "points" if made.metric.format == "percent" else f"in {made.metric.heading}"
    if made.is_better(difference):
        return f"beats the plain backbone by {amount} {unit}"
    if difference.difference == 0:
        return "is level with the plain backbone"
    side = "above" if difference.difference > 0 else "below"
    return f"is {amount} {unit} {side} the plain backbone"


def _others(made: "Confirmation", found: Iterable[tuple["Confirmed", SeedDifference]]) -> str:
    """Who else of the front beats the plain backbone, as a clause; empty if nobody."""
    better = [entry.trial for entry, difference in found if made.is_better(difference)]
    if not better:
        return ""
    several = len(better) > 1
    trials = f"trials {', '.join(map(str, better))}" if several else f"trial {better[0]}"
    return f"; {trials} of the front came out above it here, which other seeds have to confirm"


def _what_would_tell(made: "Confirmation", difference: SeedDifference) -> str:
    if difference.difference == 0:
        return "there is no difference to tell"
    needed = replace(difference, level=made.next_level).seeds_needed
    if needed is None:
        return "more seeds would not tell, more test items might"
    return f"about {max(needed, difference.seeds + 1)} seeds would be needed to tell"
