"""The search loop: propose, screen, train, store, until the budget is spent."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from attnas.evaluator import Evaluation, Evaluator, Screening, TrainingFailed, missing_metrics
from attnas.results import Objective, Run, State, Trial, nothing_feasible
from attnas.search_space import (
    Architecture,
    AttnasError,
    InputError,
    SearchSpace,
    import_plugins,
)
from attnas.strategies import History, Proposal, Strategy

from .config import Config, load_config, parse_config, read_from
from .setup import (
    Problem,
    environment,
    make_evaluator,
    make_facts,
    make_problem,
    make_searcher,
    run_folder,
    screening_from,
)

REJECTIONS_IN_A_ROW = 300
FAILURES_AT_START = 3
SHARE_SAMPLES = 20


class Observer:
    """Hears what a search does; every method may be overridden."""

    def note(self, text: str) -> None:
        """Something that a user should read."""

    def begin(self, run: Run, config: Config) -> None:
        """The run is open; trials of earlier sessions are in it."""

    def sampling(self, number: int, samples: int) -> None:
        """The share of feasible architectures is being estimated from samples."""

    def evaluating(self, number: int, proposal: Proposal) -> None:
        """A proposal is being screened and, if it passes, trained."""

    def epoch(self, epoch: int, epochs: int) -> None:
        """An epoch of the trial in flight is done."""

    def trial(self, trial: Trial) -> None:
        """A trial is stored."""


def search(
    config: Config | Mapping[str, Any] | str | Path,
    *,
    runs: str | Path = "runs",
    observer: Observer | None = None,
) -> Run:
    """Runs a search, or goes on with it where it was interrupted, and returns its run.

    `config` is a path, a mapping or a `Config`. The run is kept in `runs`/name after every
    trial; the same call goes on with it.

    Raises:
        InputError: the config, its data or an existing run of that name do not fit.
        AttnasError: the search cannot go on, or ended with nothing feasible; all trials
            are kept.
    """
    if isinstance(config, str | Path):
        with read_from(config):
            return search(load_config(config), runs=runs, observer=observer)
    if not isinstance(config, Config):
        config = parse_config(config)
    observer = observer or Observer()
    import_plugins(config.plugins)
    existing = _existing_run(config, runs)
    problem = make_problem(config)
    strategy = make_searcher(config, problem)
    plain = screening_from(existing.facts) if existing is not None else None
    evaluator = make_evaluator(config, problem, plain)
    run = existing or Run.create(
        run_folder(config, runs),
        config=config.model_dump(mode="json", exclude_none=True),
        facts=make_facts(config, problem, evaluator.screen(problem.space.plain)),
        environment=environment(evaluator),
        storage=config.storage,
    )
    with run.lock():
        observer.begin(run, config)
        _check_same_data(run, problem)
        if existing is not None:
            _warn_of_other_machine(run, environment(evaluator), observer)
        loop = _Loop(run, config, problem, strategy, evaluator, observer)
        ending = loop.until_spent()
    if not any(trial.feasible for trial in run.trials):
        raise AttnasError(f"{ending} {nothing_feasible(run)}")
    observer.note(ending)
    return run


class _Loop:
    """One session of a search on an open run."""

    def __init__(
        self,
        run: Run,
        config: Config,
        problem: Problem,
        strategy: Strategy,
        evaluator: Evaluator,
        observer: Observer,
    ) -> None:
        self.run, self.config, self.problem = run, config, problem
        self.strategy, self.evaluator, self.observer = strategy, evaluator, observer
        self.space: SearchSpace = problem.space
        self.history = [t for t in run.trials if t.architecture in self.space]
        self.rejections = 0

    def until_spent(self) -> str:
        """Evaluates proposals until the budget or the space is used up; says which."""
        if not self.run.trials:
            self._say_share_feasible()
            self._record(Proposal(self.space.plain, self.config.training.epochs), reference=True)
        while not (ending := self._budget_spent()):
            history = History(tuple(self.history), (), len(self.run.trials))
            proposal = self.strategy.propose(history)
            if proposal is None:
                return self._space_used_up()
            self._record(proposal)
            if self.rejections >= REJECTIONS_IN_A_ROW:
                return self._only_rejections()
        return ending

    def _record(self, proposal: Proposal, *, reference: bool = False) -> None:
        number = len(self.run.trials)
        self.observer.evaluating(number, proposal)
        trial = evaluate(
            proposal,
            number,
            self.evaluator,
            self.problem.objectives,
            self.observer,
            seed=self.config.seed,
            always_train=reference,
        )
        self.run.append(trial)
        if trial.architecture in self.space:
            self.history.append(trial)
        self.observer.trial(trial)
        self._check_failures()
        self.rejections = self.rejections + 1 if trial.state == "infeasible" else 0

    def _budget_spent(self) -> str:
        budget = self.config.budget
        trained = [trial for trial in self.run.trials if trial.state != "infeasible"]
        if budget.trials is not None and len(trained) >= budget.trials:
            return f"The budget of {budget.trials} trials is spent."
        hours = sum(trial.seconds for trial in self.run.trials) / 3600
        if budget.hours is not None and hours >= budget.hours:
            return f"The budget of {budget.hours:g} hours is spent."
        return ""

    def _check_failures(self) -> None:
        """Stops a search that cannot work: the first trials all fail in the same way."""
        trained = [trial for trial in self.run.trials if trial.state != "infeasible"]
        kinds = {(trial.state, trial.reason.split(":")[0]) for trial in trained}
        if len(trained) == FAILURES_AT_START and len(kinds) == 1 and trained[0].state == "failed":
            raise AttnasError(
                f"the first {FAILURES_AT_START} trials failed in the same way "
                f"({trained[-1].reason}). The run is kept in {self.run.folder}."
            )

    def _only_rejections(self) -> str:
        found = any(trial.feasible for trial in self.run.trials)
        likely = " What is feasible is probably used up." if found else ""
        return (
            f"{self.rejections} proposals in a row broke a constraint.{likely} Loosen the bound, "
            "or run the same command again to look further."
        )

    def _space_used_up(self) -> str:
        states = Counter(trial.state for trial in self.run.trials)
        return (
            f"The search space is used up: of its {self.space.size:,} architectures "
            f"{states['complete']} were trained, {states['infeasible']} broke a constraint, "
            f"{states['failed']} failed."
        )

    def _say_share_feasible(self) -> None:
        self.observer.note(f"{self.space.size:,} distinct architectures.")
        if not self.problem.constraints:
            return
        rng = np.random.default_rng((self.config.seed, 2**32))
        broken: list[Mapping[str, float]] = []
        share, low, high = self.space.share_feasible(
            rng, lambda a: self._feasible(a, broken), SHARE_SAMPLES
        )
        self.observer.note(
            f"Feasible: {share:.0%} of the space (95 % interval {low:.0%} to {high:.0%})."
        )
        if share == 0 and broken:
            [(constraint, count)] = Counter(c for b in broken for c in b).most_common(1)
            least = min(broken, key=lambda b: sum(b.values()))
            self.observer.note(
                f"'{constraint}' rejects {count} of the {len(broken)} looked at; the nearest: "
                f"{_broken_text(least)}."
            )

    def _feasible(self, architecture: Architecture, broken: list[Mapping[str, float]]) -> bool:
        self.observer.sampling(len(broken) + 1, SHARE_SAMPLES)
        try:
            violations = self.evaluator.screen(architecture).violations
        except Exception:  # it will be a failed trial if it is proposed
            return False
        if violations:
            broken.append(violations)
        return not violations


def evaluate(
    proposal: Proposal,
    number: int,
    evaluator: Evaluator,
    objectives: Sequence[Objective],
    observer: Observer,
    *,
    seed: int,
    always_train: bool = False,
) -> Trial:
    """The trial of a proposal: screened, and trained if no constraint is broken.

    A failure becomes a failed trial with its reason. `always_train` is for the plain
    backbone, the reference of every difference, even where it breaks a constraint.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    began = time.monotonic()
    screening = Screening({})
    evaluation: Evaluation | None = None
    reason = ""
    try:
        screening = evaluator.screen(proposal.architecture)
        if always_train or not screening.violations:
            evaluation = evaluator.train(
                proposal.architecture,
                proposal.epochs,
                lambda epoch, _: observer.epoch(epoch, proposal.epochs),
            )
    except TrainingFailed as error:
        reason = f"{error.kind}: {error.reason}"
    except Exception as error:  # a candidate may fail in any way: the search goes on
        reason = f"raised: {type(error).__name__}: {error}"
    metrics = {**screening.metrics, **(evaluation.metrics if evaluation else {})}
    if evaluation is not None and (absent := missing_metrics(objectives, metrics)):
        reason = f"no value: {', '.join(absent)}"
    state: State = "failed" if reason else "complete" if evaluation else "infeasible"
    broken = {**screening.violations, **(evaluation.violations if evaluation else {})}
    return Trial(
        number=number,
        architecture=proposal.architecture,
        epochs=proposal.epochs,
        state=state,
        metrics=metrics,
        intervals={**screening.intervals, **(evaluation.intervals if evaluation else {})},
        violations=broken,
        reason=reason or _broken_text(broken),
        seconds=_seconds(evaluation, began),
        seed=seed,
        started=started,
        correct=evaluation.correct if evaluation else b"",
        validation_images=evaluation.images if evaluation else 0,
        uncounted=screening.uncounted,
    )


def _broken_text(violations: Mapping[str, float]) -> str:
    return ", ".join(f"{text} missed by {excess:.1%}" for text, excess in violations.items())


def _seconds(evaluation: Evaluation | None, began: float) -> float:
    """What the trial took; a replayed one keeps the time that was recorded."""
    elapsed = time.monotonic() - began
    return max(elapsed, evaluation.seconds) if evaluation is not None else elapsed


def _existing_run(config: Config, runs: str | Path) -> Run | None:
    folder = run_folder(config, runs)
    if not (folder / "run.json").exists():
        return None
    run = Run.open(folder)
    differences = run.config_difference(config.model_dump(mode="json", exclude_none=True))
    if differences:
        raise InputError(
            f"was made by another config: {', '.join(differences)} differ. Give this search "
            "another 'name', or restore the config.",
            file=str(folder),
        )
    return run


def _check_same_data(run: Run, problem: Problem) -> None:
    if problem.data is None:
        return
    now, then = dict(problem.data.facts), run.facts["data"]
    changed = [key for key in then if key != "path" and now.get(key) != then[key]]
    if changed:
        raise InputError(
            f"the data are no longer those of the run {run.folder}: {', '.join(changed)} differ.",
            key="data",
        )


def _warn_of_other_machine(run: Run, now: Mapping[str, Any], observer: Observer) -> None:
    """Latencies of one run should come from one machine, accuracies from one torch."""
    parts = ("device", "training_device", "training_threads", "packages")
    changed = [part for part in parts if run.environment.get(part) != now[part]]
    if changed:
        observer.note(
            f"Note: {', '.join(changed)} are not as when the run began (environment.json): new "
            "trials may not compare with its earlier ones."
        )
