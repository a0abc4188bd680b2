"""NNI's tuners as strategies: `nni:TPE`, `nni:Evolution` and others, by name."""

import inspect
import logging
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from attnas.core import (
    AttnasError,
    History,
    InputError,
    Objective,
    Proposal,
    Trial,
    generator,
    unknown,
)

from .fresh import fresh, used, with_neighbours
from .optuna_study import architecture, distributions, parameters
from .ranking import ranking
from .registry import Family, register_family, unknown_setting

if TYPE_CHECKING:
    from attnas.search_space import Architecture, SearchSpace

ASKS = 20  # parameters that a tuner is asked for before neighbours of the last take over
Heard = Sequence[tuple[dict[str, int], float]]  # parameters with their losses, in order


@dataclass(frozen=True)
class _Tuner:
    """Where one of NNI's tuners is, and how it is told what it did not propose."""

    module: str
    name: str
    what: str
    hear: Callable[[Any, Heard], None]
    fixed: Mapping[str, Any] = field(default_factory=dict)  # arguments that are ours to set
    takes_seed: bool = False
    reseed: Callable[[Any, int], None] | None = None
    by_step: bool = False  # draws go on from trial to trial, so the seed must not


def _nothing(tuner: Any, heard: Heard) -> None:
    """A tuner that learns nothing."""


def _imported(tuner: Any, heard: Heard) -> None:
    tuner.import_data([{"parameter": values, "value": loss} for values, loss in heard])


def _densities(tuner: Any, heard: Heard) -> None:
    """As if the tuner had proposed it; its `import_data` takes a millisecond a trial."""
    for number, (values, loss) in enumerate(heard):
        tuner._running_params[number] = {(name,): option for name, option in values.items()}
        tuner.receive_trial_result(number, values, loss)


def _bred(tuner: Any, heard: Heard) -> None:
    """One step of the evolution per trial; the child is replaced by what was evaluated."""
    for number, (values, loss) in enumerate(heard):
        tuner.generate_parameters(number)
        tuner.running_trials[number].config = {
            name: {"_index": option, "_value": option} for name, option in values.items()
        }
        tuner.receive_trial_result(number, values, loss)


def _reseed_evolution(tuner: Any, seed: int) -> None:
    tuner.random_state.seed(seed)
    tuner.population.clear()  # was drawn before the seed
    for _ in range(tuner.population_size):
        tuner._random_generate_individual()


def _reseed_anneal(tuner: Any, seed: int) -> None:
    tuner.rval.rstate.seed(seed)


_MINIMISE = {"optimize_mode": "minimize"}
TUNERS: Mapping[str, _Tuner] = {
    "Anneal": _Tuner(
        "hyperopt_tuner",
        "HyperoptTuner",
        "Draws near good trials, ever nearer with time; hyperopt's annealing.",
        _imported,
        {**_MINIMISE, "algorithm_name": "anneal"},
        reseed=_reseed_anneal,
    ),
    "Evolution": _Tuner(
        "evolution_tuner",
        "EvolutionTuner",
        "Mutates the better of two of a population, of which the worse dies.",
        _bred,
        _MINIMISE,
        reseed=_reseed_evolution,
        by_step=True,
    ),
    "GridSearch": _Tuner(
        "gridsearch_tuner", "GridSearchTuner", "Goes through the space in order.", _imported
    ),
    "Random": _Tuner("random_tuner", "RandomTuner", "Draws uniformly.", _nothing, takes_seed=True),
    "TPE": _Tuner(
        "tpe_tuner",
        "TpeTuner",
        "Tree-structured Parzen estimator, each decision for itself.",
        _densities,
        _MINIMISE,
        takes_seed=True,
    ),
}
_SCIPY = (
    "NNI 3.0 gives SciPy's `minimize` a start of two dimensions, which SciPy refuses since 1.11"
)
_ADVISOR = "it is an advisor, which runs the trials itself, not a tuner. Use `halving`"
UNUSABLE: Mapping[str, str] = {
    "BOHB": _ADVISOR,
    "Batch": "it goes through a list of the user's and searches nothing",
    "DNGO": "it needs pybnn with torchvision and emcee, which attnas leaves out",
    "GP": f"{_SCIPY}. Use `model` or `optuna:GPSampler`",
    "Hyperband": _ADVISOR,
    "Metis": f"{_SCIPY}. Use `model`",
    "NetworkMorphism": "it proposes networks of its own, not options of a space",
    "PBT": "it changes the settings of trainings that go on, and an architecture does not change",
    "PPOTuner": "it needs gym, which is no longer kept and was made for NumPy 1",
    "SMAC": "it needs smac4nni and ConfigSpaceNNI, which do not build on Python 3.11 or later",
}


def _tuner_class(name: str) -> type:
    """The class of a tuner; imports NNI, and makes it silent.

    Raises:
        AttnasError: NNI, or what the tuner needs, is not installed.
    """
    try:
        import_module("nni")
    except ImportError:
        raise AttnasError(
            f"nni:{name} needs NNI, which is not installed: pip install 'attnas[nni]'."
        ) from None
    for library in ("nni", "hyperopt"):
        logging.getLogger(library).setLevel(logging.ERROR)
    try:
        module = import_module(f"nni.algorithms.hpo.{TUNERS[name].module}")
    except ImportError as error:
        raise AttnasError(
            f"nni:{name} needs {error.name}, which is not installed: pip install {error.name}."
        ) from None
    return getattr(module, TUNERS[name].name)


@dataclass(frozen=True)
class NNITuner:
    """One of NNI's tuners. For each proposal it is built anew and told the whole history.

    A tuner knows one loss: what it hears is which share of the trials is at least as good,
    by constraint domination, non-dominated rank and crowding (`ranking`) as of now. What is
    in flight it hears as the worst. What it proposes though it was tried, it hears as the
    worst too, at most `ASKS` times; then neighbours of its last proposal follow, and then a
    uniform draw. Source: NNI 3.0, https://github.com/microsoft/nni.
    """

    space: "SearchSpace"
    objectives: tuple[Objective, ...]
    epochs: int
    seed: int
    tuner: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = _settings(self.tuner)
        for key in self.settings:
            if key not in known:
                raise unknown_setting(f"nni:{self.tuner}", key, known)
        with _drawing_from(0):
            try:
                self._new_tuner(0)
            except Exception as error:  # each tuner refuses in its own way
                raise InputError(
                    f"nni:{self.tuner} refuses these settings: {type(error).__name__}: "
                    f"{str(error).rstrip('.')}."
                ) from error

    def propose(self, history: History) -> Proposal | None:
        rng = generator(self.seed, history)
        return fresh(self.space, history, self.epochs, rng, self._candidates(history, rng))

    def _candidates(self, history: History, rng: np.random.Generator) -> "Iterator[Architecture]":
        if not distributions(self.space):
            return
        first = self.seed if TUNERS[self.tuner].by_step else int(rng.integers(2**31))
        asked, begun = None, used(history, self.epochs)
        with _drawing_from(first):
            for asked in self._asked(history, first):
                if asked not in begun:
                    break
        if asked is None:
            return
        yield from with_neighbours(self.space, asked, rng)

    def _asked(self, history: History, seed: int) -> "Iterator[Architecture]":
        """What the tuner proposes, one after the other; each is told as the worst."""
        tuner = self._new_tuner(seed)
        heard = told(history, self.space, self.objectives)
        TUNERS[self.tuner].hear(tuner, heard)
        for number in range(len(heard), len(heard) + ASKS):
            try:
                values = tuner.generate_parameters(number)
            except import_module("nni").NoMoreTrialError:
                return
            yield architecture(self.space, values)
            tuner.receive_trial_result(number, values, 1.0)

    def _new_tuner(self, seed: int) -> Any:
        kind = TUNERS[self.tuner]
        given = {**kind.fixed, **self.settings}
        if kind.takes_seed:
            given["seed"] = seed
        tuner = _tuner_class(self.tuner)(**given)
        if self.space.size > 1:
            tuner.update_search_space(tuner_space(self.space))
            if kind.reseed is not None:
                kind.reseed(tuner, seed)
        return tuner


def tuner_space(space: "SearchSpace") -> dict[str, Any]:
    """The space for a tuner: the number of its option for each decision that is not frozen."""
    return {
        name: {"_type": "choice", "_value": list(options.choices)}
        for name, options in distributions(space).items()
    }


def told(history: History, space: "SearchSpace", objectives: Sequence[Objective]) -> Heard:
    """Parameters and losses, 0 to 1, of what was tried; the worst for what is in flight.

    A trial's loss is the share of the trials that are at least as good, itself included:
    never 0, which NNI takes for no value.
    """
    trials = [t for t in history.finished if t.architecture in space]
    losses = shares(trials, objectives)
    running = [p.architecture for p in history.running if p.architecture in space]
    return [
        *((parameters(space, t.architecture), x) for t, x in zip(trials, losses, strict=True)),
        *((parameters(space, a), 1.0) for a in running),
    ]


def shares(trials: Sequence[Trial], objectives: Sequence[Objective]) -> list[float]:
    """Of each trial the share of all that are at least as good; equals share theirs."""
    if not trials:
        return []
    ranked = ranking(trials, objectives)
    order = np.stack([ranked.rank, -ranked.crowding], axis=1)
    _, place, counts = np.unique(order, axis=0, return_inverse=True, return_counts=True)
    return (np.cumsum(counts)[place.ravel()] / len(trials)).tolist()


_LOCK = threading.Lock()


@contextmanager
def _drawing_from(seed: int) -> Iterator[None]:
    """Seeds the global generators, which some tuners draw from, and gives them back."""
    with _LOCK:
        ours, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(ours)
            np.random.set_state(numpys)  # noqa: NPY002


def _settings(name: str) -> list[str]:
    """The settings that a user may give."""
    taken = inspect.signature(_tuner_class(name)).parameters
    return [p for p in taken if p not in {"seed", *_MINIMISE, *TUNERS[name].fixed}]


def _make(name: str, **given: Any) -> NNITuner:
    """The tuner of that name.

    Raises:
        InputError: it is unknown, or does not run; the message says why.
        AttnasError: NNI is not installed.
    """
    if name in UNUSABLE:
        raise InputError(f"nni:{name} cannot be used: {UNUSABLE[name]}.", key="name")
    if name not in TUNERS:
        raise unknown("tuner of NNI", name, TUNERS, listing="attnas strategies").inside(key="name")
    return NNITuner(tuner=name, **given)


register_family("nni", Family(_make, lambda: {n: f"NNI: {t.what}" for n, t in TUNERS.items()}))
