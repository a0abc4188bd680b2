"""How well the figures of untrained networks rank what training them gave."""

import math
from collections.abc import Sequence

import numpy as np

from .doubt import RankCorrelation, rank_correlation
from .rungs import longest
from .trial import Trial

PROXIES = ("synflow", "naswot", "grad_norm")


def proxy_correlations(trials: Sequence[Trial]) -> dict[str, RankCorrelation]:
    """Kendall's tau with the accuracy of every zero-cost proxy that the trials have.

    Over the architectures with a complete trial in which both are finite, each by its longest
    training.
    """
    scored = longest(trials)
    found = {}
    for name in PROXIES:
        if not any(name in trial.metrics for trial in scored):
            continue
        pairs = [
            (trial.metrics.get(name, math.nan), trial.metrics.get("accuracy", math.nan))
            for trial in scored
        ]
        finite = [pair for pair in pairs if np.isfinite(pair).all()]
        found[name] = rank_correlation([x for x, _ in finite], [y for _, y in finite])
    return found


def proxies_text(trials: Sequence[Trial]) -> str:
    """A line a proxy for the end of a run; "" if none was asked for."""
    lines = []
    for name, c in proxy_correlations(trials).items():
        said = f"{name} against accuracy over {c.pairs} architectures: "
        if math.isnan(c.tau):
            lines.append(f"{said}no rank correlation, as one of the two does not vary.")
        else:
            interval = f"(95 % interval {c.low:.2f} to {c.high:.2f})"
            lines.append(f"{said}Kendall's tau {c.tau:.2f} {interval}.")
    return "\n".join(lines)
