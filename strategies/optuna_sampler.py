"""Optuna's samplers as strategies: `optuna:NSGAIIISampler`, or a class of the user's own."""

import copy
import inspect
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.trial import TrialState

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

from .fresh import fresh, with_neighbours
from .optuna_study import (
    HOPELESS,
    add_running,
    architecture,
    distributions,
    new_study,
    parameters,
)
from .ranking import losses
from .registry import Family, register_family, unknown_setting

if TYPE_CHECKING:
    from attnas.search_space import Architecture, SearchSpace

ASKS = 10  # questions to a sampler until it proposes something new
CACHED = 4  # replayed runs kept

_CATEGORIES = (
    "it samples numbers only, and the options of a decision are categories without an order. "
    "Use optuna:TPESampler, optuna:NSGAIISampler or optuna:NSGAIIISampler"
)
UNUSABLE: Mapping[str, str] = {
    "CmaEsSampler": _CATEGORIES,
    "GridSampler": "the grid is the search space: use the strategy 'grid'",
    "PartialFixedSampler": "give a decision one option instead, as "
    "`search_space.stages.STAGE.choice` does",
    "QMCSampler": _CATEGORIES,
}
_OURS = frozenset({"seed", "constraints_func"})  # arguments that are not the user's to set


@dataclass(frozen=True)
class OptunaSampler:
    """An Optuna sampler, which lives through the run again: asked and told, trial by trial.

    Several objectives go to it as they are, constraints as Optuna's `violation` of the trial,
    and a loss that was not taken as the worst until then. A trial that the sampler did not
    propose it gets as an enqueued one. What it proposes though it was tried counts as failed,
    and it is asked again, at most `ASKS` times; then neighbours of its last proposal follow,
    and then a uniform draw. Source: Akiba et al. 2019, "Optuna: a next-generation
    hyperparameter optimization framework", KDD, arXiv:1907.10902.
    """

    space: "SearchSpace"
    objectives: tuple[Objective, ...]
    epochs: int
    seed: int
    sampler: type[optuna.samplers.BaseSampler]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        taken = inspect.signature(self.sampler).parameters
        open_ended = any(p.kind is p.VAR_KEYWORD for p in taken.values())
        known = [p for p in taken if p not in _OURS]
        for key in self.settings:
            if key in _OURS or (key not in known and not open_ended):
                raise unknown_setting(self.sampler.__name__, key, known)
        try:
            self.new_sampler()
        except Exception as error:  # each sampler refuses in its own way
            raise InputError(
                f"{self.sampler.__name__} refuses these settings: "
                f"{type(error).__name__}: {str(error).rstrip('.')}."
            ) from error

    def new_sampler(self) -> optuna.samplers.BaseSampler:
        """The sampler as it is before the first trial."""
        seeded = "seed" in inspect.signature(self.sampler).parameters
        drawn = int(np.random.default_rng(self.seed).integers(2**30))
        with _unwarned():
            return self.sampler(**self.settings, **({"seed": drawn} if seeded else {}))

    def propose(self, history: History) -> Proposal | None:
        rng = generator(self.seed, history)
        return fresh(self.space, history, self.epochs, rng, self._candidates(history, rng))

    def _candidates(self, history: History, rng: np.random.Generator) -> "Iterator[Architecture]":
        if not distributions(self.space):
            return
        try:
            proposed = _ask(self, history)
        except Exception as error:  # whatever the sampler raises
            several = len(self.objectives) > 1
            hint = " Perhaps it takes one objective only." if several else ""
            raise AttnasError(
                f"the sampler {self.sampler.__name__} failed with {type(error).__name__}: "
                f"{str(error).rstrip('.')}.{hint}"
            ) from error
        yield from with_neighbours(self.space, proposed, rng)


class _Replayed:
    """A sampler and its study after the first trials of some history."""

    def __init__(self, of: OptunaSampler) -> None:
        self.of = of
        self.study = new_study(len(of.objectives), of.new_sampler())
        self.trials: list[Trial] = []
        self.worst = np.full(len(of.objectives), -np.inf)
        self.used: set[Architecture] = set()
        self.asked: optuna.Trial | None = None  # the question whose answer is not in yet
        self.proposed: Architecture | None = None
        self.stuck = False  # nothing new came: it is not asked again before it hears more

    def begins(self, trials: Sequence[Trial], of: OptunaSampler) -> bool:
        same = self.of is of or (self.of.space is of.space and self.of == of)
        return same and self.trials == trials[: len(self.trials)]

    def ask(self) -> "Architecture":
        """What the sampler proposes now; the last of its proposals if none of them is new."""
        asks = 0 if self.stuck else ASKS
        for _ in range(asks):
            if self.asked is None:
                self.asked = self.study.ask(distributions(self.of.space))
                self.proposed = architecture(self.of.space, self.asked.params)
            if self.proposed not in self.used:
                break
            self.study.tell(self.asked, state=TrialState.FAIL)
            self.asked = None
        self.stuck = self.asked is None
        assert self.proposed is not None
        return self.proposed

    def hear(self, trial: Trial) -> None:
        """Goes on to after this trial."""
        space, objectives = self.of.space, self.of.objectives
        if self.ask() == trial.architecture and self.asked is not None:
            told, self.asked = self.asked, None
        else:
            self.study.enqueue_trial(parameters(space, trial.architecture))
            told = self.study.ask(distributions(space))
        [values] = losses([trial], objectives)
        known = np.isfinite(values) & (trial.state != "failed")
        failed = trial.state == "failed" or (trial.state == "complete" and not known.all())
        self.worst = np.where(known, np.fmax(self.worst, values), self.worst)
        replaced = np.where(np.isfinite(self.worst), self.worst, 0.0)
        told.set_constraint("violation", HOPELESS if failed else trial.violation)
        self.study.tell(told, np.where(known, values, replaced).tolist())
        self.stuck = False
        self.trials.append(trial)
        if trial.state == "infeasible" or trial.epochs == self.of.epochs:
            self.used.add(trial.architecture)

    def beside(self, running: "Sequence[Architecture]") -> "_Replayed":
        """A copy in which these are in flight."""
        self.ask()  # so that what it proposed for one of them is told apart from new
        space = self.of.space
        known = distributions(space)
        finished = [t for t in self.study.get_trials(deepcopy=False) if t.state.is_finished()]
        shared = {id(trial): trial for trial in finished}  # Optuna changes none in place
        other = copy.copy(self)
        other.study, other.asked = copy.deepcopy((self.study, self.asked), shared)
        other.used, other.stuck = self.used | set(running), False
        for one in running:
            if other.asked is not None and one == other.proposed:
                other.asked = None  # it stays open in the study
            else:
                add_running(other.study, known, parameters(space, one))
        return other


_LOCK = threading.Lock()
_REPLAYED: list[_Replayed] = []  # the latest last; saves replaying the run for every proposal


def _ask(of: OptunaSampler, history: History) -> "Architecture":
    """What the sampler proposes after the history; asked of the longest replay that begins it."""
    trials = [t for t in history.finished if t.architecture in of.space]
    running = [p.architecture for p in history.running if p.architecture in of.space]
    with _LOCK, _unwarned():
        fitting = [known for known in _REPLAYED if known.begins(trials, of)]
        replayed = max(fitting, key=lambda known: len(known.trials), default=None)
        if replayed is None:
            replayed = _Replayed(of)
        else:
            _REPLAYED.remove(replayed)  # comes back only if nothing goes wrong on the way
        for trial in trials[len(replayed.trials) :]:
            replayed.hear(trial)
        proposed = (replayed.beside(running) if running else replayed).ask()
        _REPLAYED[:] = [*_REPLAYED[1 - CACHED :], replayed]
    return proposed


@contextmanager
def _unwarned() -> Iterator[None]:
    """Without warnings of what is experimental, and of samplers that fall back."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _names() -> list[str]:
    """The samplers that Optuna has, by the names of their classes."""
    found = ((n, getattr(optuna.samplers, n)) for n in optuna.samplers.__all__)
    return [
        name
        for name, kind in found
        if isinstance(kind, type)
        and issubclass(kind, optuna.samplers.BaseSampler)
        and not inspect.isabstract(kind)
    ]


def _listing() -> Mapping[str, str]:
    kinds = {n: getattr(optuna.samplers, n) for n in _names() if n not in UNUSABLE}
    docs = {n: (inspect.getdoc(kind) or "").split("\n")[0] for n, kind in kinds.items()}
    return {n: f"Optuna: {first}" for n, first in docs.items()}


def _make(name: str, **given: Any) -> OptunaSampler:
    """The sampler of that name, `Sampler` at its end may be missing.

    Raises:
        InputError: it is unknown, or cannot search our spaces; the message says why.
    """
    names = _names()
    full = name if name in names else f"{name}Sampler"
    if full not in names:
        raise unknown("sampler of Optuna", full, names, listing="attnas strategies").inside(
            key="name"
        )
    if full in UNUSABLE:
        raise InputError(f"optuna:{full} cannot be used: {UNUSABLE[full]}.", key="name")
    return OptunaSampler(sampler=getattr(optuna.samplers, full), **given)


def _adopt(kind: type) -> "partial[OptunaSampler] | None":
    """What makes a strategy of a user's class, if it is a sampler."""
    if not issubclass(kind, optuna.samplers.BaseSampler):
        return None
    return partial(OptunaSampler, sampler=kind)


register_family("optuna", Family(_make, _listing, _adopt))
