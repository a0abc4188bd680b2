"""How well the figures of untrained networks rank what training them gave."""

import math
from collections.abc import Sequence

import numpy as np

from attnas.core import RankCorrelation, Trial, described, in_order, rank_correlation

from .rungs import longest


def proxy_correlations(trials: Sequence[Trial], metric: str) -> dict[str, RankCorrelation]:
    """Kendall's tau with a metric of every zero-cost proxy that the trials have.

    Over the architectures with a complete trial in which both are finite, each by its longest
    training.
    """
    scored = longest(trials)
    found = {}
    taken = in_order(name for trial in scored for name in trial.metrics)
    for name in (name for name in taken if described(name).on_request):
        pairs = [
            (trial.metrics.get(name, math.nan), trial.metrics.get(metric, math.nan))
            for trial in scored
        ]
        finite = [pair for pair in pairs if np.isfinite(pair).all()]
        found[name] = rank_correlation([x for x, _ in finite], [y for _, y in finite])
    return found


def proxies_text(trials: Sequence[Trial], metric: str) -> str:
    """A line a proxy for the end of a run; "" if none was asked for."""
    lines = []
    for name, c in proxy_correlations(trials, metric).items():
        said = f"{name} against {metric.replace('_', ' ')} over {c.pairs} architectures: "
        if math.isnan(c.tau):
            lines.append(f"{said}no rank correlation, as one of the two does not vary.")
        else:
            interval = f"(95 % interval {c.low:.2f} to {c.high:.2f})"
            lines.append(f"{said}Kendall's tau {c.tau:.2f} {interval}.")
    return "\n".join(lines)
