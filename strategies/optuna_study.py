"""Our history as an Optuna study, and one question to one of Optuna's samplers."""

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from attnas.results import Trial
from attnas.search_space import Architecture, SearchSpace

optuna.logging.set_verbosity(optuna.logging.WARNING)

Distributions = dict[str, Any]
HOPELESS = 1e9  # the violation of a failed trial: worse than any real one


def distributions(space: SearchSpace) -> Distributions:
    """One categorical parameter per stage that is not frozen: the number of its option."""
    sizes = {stage: len(space.options(stage)) for stage in space.stage_names}
    return {
        stage: CategoricalDistribution(tuple(range(size)))
        for stage, size in sizes.items()
        if size > 1
    }


def parameters(space: SearchSpace, architecture: Architecture) -> dict[str, int]:
    """The architecture as the parameters of `distributions`."""
    stages = zip(space.stage_names, space.allowed, architecture.choices, strict=True)
    return {s: options.index(chosen) for s, options, chosen in stages if len(options) > 1}


def architecture(space: SearchSpace, values: dict[str, Any]) -> Architecture:
    """What `parameters` encoded."""
    options = {stage: space.options(stage) for stage in space.stage_names}
    choices = (options[stage][values.get(stage, 0)] for stage in space.stage_names)
    return Architecture(space.backbone, tuple(choices), space.identity_start)


def new_study(objectives: int, sampler: optuna.samplers.BaseSampler | None = None) -> optuna.Study:
    """An empty study in memory; all values are minimised."""
    return optuna.create_study(directions=["minimize"] * objectives, sampler=sampler)


def add_finished(
    study: optuna.Study,
    space: SearchSpace,
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
    space: SearchSpace,
    sampler: optuna.samplers.BaseSampler,
    running: Sequence[Architecture],
    *,
    jointly: bool,
) -> Architecture:
    """What the sampler would evaluate next while `running` are in flight.

    `jointly` asks for all stages at once, else one after the other, each for itself. Leaves
    the study as it was, for samplers: what was added for the question is marked failed, which
    they pass over. Where all stages are frozen it is the one architecture of the space.
    """
    known = distributions(space)
    pending = [_add_open(study, known, parameters(space, a)) for a in running]
    asked = _add_open(study, {}, {})
    if jointly:
        values = sampler.sample_relative(study, asked, known)
    else:
        values = {
            stage: sampler.sample_independent(study, asked, stage, options)
            for stage, options in known.items()
        }
    for trial in (*pending, asked):
        study.tell(trial.number, state=TrialState.FAIL)
    return architecture(space, values)


def add_running(
    study: optuna.Study, space: SearchSpace, architecture: Architecture
) -> optuna.trial.FrozenTrial:
    """Adds an architecture that is in flight, to be told or marked failed later."""
    return _add_open(study, distributions(space), parameters(space, architecture))


def _add_open(
    study: optuna.Study, known: Distributions, values: dict[str, int]
) -> optuna.trial.FrozenTrial:
    study.add_trial(
        optuna.trial.create_trial(state=TrialState.RUNNING, params=values, distributions=known)
    )
    return study.get_trials(deepcopy=False)[-1]
