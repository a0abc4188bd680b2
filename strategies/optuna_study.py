"""Our history as an Optuna study, and one question to one of Optuna's samplers."""

import datetime
from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from attnas.core import Trial

if TYPE_CHECKING:
    from attnas.search_space import Architecture, SearchSpace

optuna.logging.set_verbosity(optuna.logging.WARNING)

Distributions = dict[str, Any]
HOPELESS = 1e9  # the violation of a failed trial: worse than any real one


class OptionNumber(CategoricalDistribution):
    """The number of an option, from 0. It does not change, so a copy is the thing itself.

    Optuna copies a trial with its distributions whenever it is added, asked or told.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> "OptionNumber":
        return self


class InFlight(optuna.storages.InMemoryStorage):
    """A study in memory that also shows the trials in `shown`, as if they had been added.

    To add one takes copies and checks, and it would have to be told before the next question.
    """

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[FrozenTrial] = []

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        added = super().get_all_trials(study_id, deepcopy, states)
        return [*added, *(t for t in self.shown if states is None or t.state in states)]


def distributions(space: "SearchSpace") -> Distributions:
    """One categorical parameter per decision that is not frozen: the number of its option."""
    sizes = zip(space.names, map(len, space.options), strict=True)
    return {name: OptionNumber(tuple(range(size))) for name, size in sizes if size > 1}


def parameters(space: "SearchSpace", architecture: "Architecture") -> dict[str, int]:
    """The architecture as the parameters of `distributions`."""
    decided = zip(space.names, space.options, architecture.options, strict=True)
    return {n: options.index(chosen) for n, options, chosen in decided if len(options) > 1}


def architecture(space: "SearchSpace", values: dict[str, Any]) -> "Architecture":
    """What `parameters` encoded."""
    decided = zip(space.names, space.options, strict=True)
    return space.architecture([options[values.get(name, 0)] for name, options in decided])


def new_study(objectives: int, sampler: optuna.samplers.BaseSampler | None = None) -> optuna.Study:
    """An empty study in memory; all values are minimised."""
    directions = [optuna.study.StudyDirection.MINIMIZE] * objectives
    return optuna.create_study(storage=InFlight(), directions=directions, sampler=sampler)


def add_finished(
    study: optuna.Study,
    space: "SearchSpace",
    trial: Trial,
    values: Sequence[float],
    violation: float,
) -> None:
    """Adds a trial with its losses and its constraint, which is broken if positive."""
    study.add_trial(
        optuna.trial.create_trial(
            params=parameters(space, trial.architecture),
            distributions=distributions(space),
            values=list(values),
            constraints={"violation": violation},
        )
    )


def ask(
    study: optuna.Study,
    space: "SearchSpace",
    sampler: optuna.samplers.BaseSampler,
    running: "Sequence[Architecture]",
) -> "Architecture":
    """What the sampler would evaluate next while `running` are in flight.

    It is asked for one decision after the other, each for itself. Leaves the study, which
    `new_study` made, as it was, for samplers: what was added for the question is marked failed,
    which they pass over. Where all decisions are frozen it is the one architecture of the space.
    """
    known = distributions(space)
    asked = add_running(study, {}, {})
    storage = study._storage
    assert isinstance(storage, InFlight)
    storage.shown = [
        _running(parameters(space, a), known, asked.number + 1 + i) for i, a in enumerate(running)
    ]
    try:
        values = {
            name: sampler.sample_independent(study, asked, name, options)
            for name, options in known.items()
        }
    finally:
        storage.shown = []
    study.tell(asked.number, state=TrialState.FAIL)
    return architecture(space, values)


def add_running(
    study: optuna.Study, known: Distributions, values: Mapping[str, int]
) -> FrozenTrial:
    """Adds a trial that is in flight."""
    study.add_trial(_running(values, known))
    return study.get_trials(deepcopy=False)[-1]


def _running(values: Mapping[str, int], known: Distributions, number: int = -1) -> FrozenTrial:
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=datetime.datetime.now(),
        datetime_complete=None,
        params=dict(values),
        distributions=known,
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )
