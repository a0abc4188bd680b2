"""The latency table: a regression of whole networks' latencies on their options.

One entry per (decision, option), fitted by least squares over random whole networks, so that each
network measures as many entries as it has decisions and caches behave as they will. Adding up
differences of one change at a time instead would add up their noise too.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attnas.core import AdditiveCost, rank_correlation
from attnas.search_space import Architecture, SearchSpace, build

from .devices import Device
from .latency import measure_latency, measure_reference
from .latency_regression import Fit, cross_validated, fit

TRUSTED_MAPE = 0.05
"""A table whose held-out error is above this decides nothing in a search."""
SECONDS = 50.0
"""The default budget: with loading and fitting a table is made within a minute."""

_NETWORKS_AN_OPTION = 6
_LEAST_NETWORKS = 60
_TOGETHER = 6  # networks a measuring call: they share its rounds
_TARGET_INTERVAL = 0.02  # more networks teach more than better known ones
_SECONDS_A_NETWORK = 0.4
_REFERENCE_SECONDS = 4.0

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class TableError:
    """How far predictions are off on networks that were not fitted.

    Each of the `networks` was predicted by a fit to the others (10 folds). `mape`: the mean
    of |prediction / measurement - 1|; `margin`: 95 % of these are at most so; `tau`:
    Kendall's; `r2`: the share of the latencies' variance that the predictions explain. The
    measurements are brief and noisy themselves, so the truth is nearer than this says.
    """

    mape: float
    tau: float
    r2: float
    margin: float = math.inf
    networks: int = 0


@dataclass(frozen=True)
class LatencyTable:
    """Latency by option of each decision, with the error on networks that were held out.

    `standard_errors` are those of `cost.costs`, in ms. `plain_ms` is the measured latency of
    the plain backbone, to which the figures are relative. `cost.base` is near it, not equal:
    it is what fits the networks that have attention.
    """

    space: SearchSpace
    cost: AdditiveCost
    error: TableError
    standard_errors: tuple[tuple[float, ...], ...] = ()
    plain_ms: float = math.nan
    seconds: float = 0.0

    def predict(self, architecture: Architecture) -> float:
        """Milliseconds a batch."""
        if architecture.is_plain:
            return self.plain_ms
        return self.cost.at(self.space.positions(architecture))

    def relative_to(self, plain_ms: float) -> "LatencyTable":
        """The table where the plain backbone takes `plain_ms`.

        What was measured are ratios to the plain backbone, so a table serves any session.
        """
        factor = plain_ms / self.plain_ms
        return replace(
            self,
            cost=AdditiveCost(
                self.cost.metric, factor * self.cost.base, _scaled(self.cost.costs, factor)
            ),
            standard_errors=_scaled(self.standard_errors, factor),
            plain_ms=plain_ms,
        )

    @property
    def margin(self) -> float:
        """The share by which 95 % of the predictions are off at most."""
        return self.error.margin

    @property
    def trusted(self) -> bool:
        """Whether the held-out error is at most `TRUSTED_MAPE`."""
        return self.error.mape <= TRUSTED_MAPE

    def surely_above(self, architecture: Architecture, bound_ms: float) -> bool:
        """Whether the prediction is above the bound by more than the margin of error."""
        return self.predict(architecture) > bound_ms * (1 + self.margin)


def make_latency_table(
    space: SearchSpace,
    device: Device,
    *,
    seed: int = 0,
    seconds: float = SECONDS,
    plain_ms: float | None = None,
    progress: Progress | None = None,
) -> LatencyTable:
    """Measures random networks of the space and fits the table to them.

    Stops after `seconds` (and at least one round of networks) or when every option has been
    seen several times. `plain_ms` is the plain backbone's latency if it is known; else it is
    measured. `progress` hears how many networks of how many are measured.
    """
    began = time.monotonic()
    networks = design(space, np.random.default_rng((seed, 0)), wanted_networks(space))
    plain = build(space.plain, seed=seed).eval()
    shape = space.backbone.input_shape
    if plain_ms is None:
        limit = min(_REFERENCE_SECONDS, seconds / 10)
        plain_ms = measure_reference(device, plain, shape, max_seconds=limit).ms
    rng = np.random.default_rng((seed, 1))
    ratios: list[float] = []
    for start in range(0, len(networks), _TOGETHER):
        if ratios and time.monotonic() - began > seconds:
            break
        together = networks[start : start + _TOGETHER]
        found = measure_latency(
            device,
            [build(architecture, seed=seed).eval() for architecture in together],
            plain,
            shape,
            rng=rng,
            reference_ms=plain_ms,
            target_interval=_TARGET_INTERVAL,
            max_seconds=_SECONDS_A_NETWORK,
            now=device.clock,  # a busy machine shall give fewer networks, not worse figures
        )
        ratios += [latency.ratio for latency in found]
        if progress is not None:
            progress(len(ratios), len(networks))
    return fit_latency_table(
        space,
        networks[: len(ratios)],
        ratios,
        plain_ms=plain_ms,
        seconds=time.monotonic() - began,
    )


def fit_latency_table(
    space: SearchSpace,
    architectures: Sequence[Architecture],
    ratios: Sequence[float],
    *,
    plain_ms: float,
    seconds: float = 0.0,
) -> LatencyTable:
    """The table of distinct networks whose latency is `ratios` times the plain backbone's.

    Raises:
        ValueError: there are no networks.
    """
    if not architectures:
        raise ValueError("a latency table needs measured networks")
    measured = np.asarray(ratios, dtype=np.float64)
    fitted = fit(space, architectures, measured)
    return LatencyTable(
        space=space,
        cost=AdditiveCost("latency_ms", fitted.base * plain_ms, _entries(space, fitted, plain_ms)),
        error=held_out_error(cross_validated(space, architectures, measured), measured),
        standard_errors=_entries(space, fitted, plain_ms, errors=True),
        plain_ms=plain_ms,
        seconds=seconds,
    )


def held_out_error(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> TableError:
    """The error of predictions; NaN where there are too few networks to have one.

    Raises:
        ValueError: not one prediction a measurement.
    """
    if predicted.shape != measured.shape:
        raise ValueError(f"{predicted.shape} predictions of {measured.shape} measurements")
    if len(measured) < 2 or np.isnan(predicted).any():
        return TableError(math.nan, math.nan, math.nan, math.inf, len(measured))
    relative = np.abs(predicted / measured - 1)
    spread = float(((measured - measured.mean()) ** 2).sum())
    missed = float(((measured - predicted) ** 2).sum())
    return TableError(
        mape=float(relative.mean()),
        tau=rank_correlation(predicted.tolist(), measured.tolist()).tau,
        r2=1 - missed / spread if spread > 0 else math.nan,
        margin=float(np.quantile(relative, 0.95, method="higher")),
        networks=len(measured),
    )


def wanted_networks(space: SearchSpace) -> int:
    """How many networks show every option several times."""
    most = max(len(options) for options in space.options)
    return min(max(_LEAST_NETWORKS, _NETWORKS_AN_OPTION * most), space.size)


def design(space: SearchSpace, rng: np.random.Generator, networks: int) -> list[Architecture]:
    """Distinct random networks in which a decision's options are about equally frequent.

    Each decision goes through random orders of its options, one after the other; of a space
    with no more networks than that, all.
    """
    if space.size <= networks:
        return [space.at(int(i)) for i in rng.permutation(space.size)]
    found: dict[Architecture, None] = {}
    columns = [_turns(len(options), rng) for options in space.options]
    while len(found) < networks:
        drawn = [
            options[next(turns)] for options, turns in zip(space.options, columns, strict=True)
        ]
        found.setdefault(space.architecture(drawn))
    return list(found)


def _turns(count: int, rng: np.random.Generator) -> Iterator[int]:
    """Endless numbers below `count`: each once, in random order, then each again."""
    while True:
        yield from rng.permutation(count).tolist()


def _entries(
    space: SearchSpace, fitted: Fit, factor: float, *, errors: bool = False
) -> tuple[tuple[float, ...], ...]:
    """The fit's entries times a factor, by decision and option."""
    entries = fitted.standard_errors if errors else fitted.entries
    ends = np.cumsum([len(options) for options in space.options])
    return tuple(tuple((factor * part).tolist()) for part in np.split(entries, ends[:-1]))


def _scaled(entries: tuple[tuple[float, ...], ...], factor: float) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(factor * entry for entry in decision) for decision in entries)
