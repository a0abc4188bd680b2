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
    chosen = architecture.by_stage
    return {s: space.options(s).index(chosen[s]) for s in distributions(space)}


def architecture(space: SearchSpace, values: dict[str, Any]) -> Architecture:
    """What `parameters` encoded."""
    options = {stage: space.options(stage) for stage in space.stage_names}
    choices = (options[stage][values.get(stage, 0)] for stage in space.stage_names)
    return Architecture(space.backbone, tuple(choices), space.identity_start)


def new_study(objectives: int) -> optuna.Study:
    """An empty study in memory; all values are minimised."""
    return optuna.create_study(directions=["minimize"] * objectives)


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
    pending = [_add_running(study, known, parameters(space, a)) for a in running]
    asked = _add_running(study, {}, {})
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


def _add_running(
    study: optuna.Study, known: Distributions, values: dict[str, int]
) -> optuna.trial.FrozenTrial:
    study.add_trial(
        optuna.trial.create_trial(state=TrialState.RUNNING, params=values, distributions=known)
    )
    return study.get_trials(deepcopy=False)[-1]
