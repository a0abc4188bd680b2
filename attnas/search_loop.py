"""The search loop: propose, screen, train, store, until the budget is spent."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from attnas.evaluator import Evaluator
from attnas.results import (
    CHECKPOINTS,
    Run,
    nothing_feasible,
    proxies_text,
    rungs_text,
    violations_text,
    write_doubt,
)
from attnas.search_space import Architecture, AttnasError, InputError, import_plugins
from attnas.strategies import Recommended, Strategy

from .config import Config, load_config, parse_config, read_from
from .coordinator import Coordinator
from .engines import Engine, engine
from .front_latency import remeasure_front
from .latency_tables import screen_by_table
from .observer import Observer
from .setup import (
    Problem,
    make_facts,
    make_problem,
    make_searcher,
    prepared,
    run_folder,
    screening_from,
)
from .warm_start import remember_older, warm_text, warm_trials

__all__ = ["Observer", "search"]

SHARE_SAMPLES = 20


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
    with engine(config) as opened:
        return _search(config, runs, observer, opened)


def _search(config: Config, runs: str | Path, observer: Observer, engine: Engine) -> Run:
    import_plugins(config.plugins)
    problem = make_problem(config)
    strategy = make_searcher(config, problem)
    existing = _existing_run(config, runs)
    plain = screening_from(existing.facts) if existing is not None else None
    folder = run_folder(config, runs)
    evaluator = engine.evaluator(config, problem, plain, folder / CHECKPOINTS)
    run = existing or Run.create(
        folder,
        config=config.model_dump(mode="json", exclude_none=True),
        facts=_facts(config, problem, evaluator, runs),
        environment=engine.environment(evaluator),
        storage=config.storage,
    )
    earlier = warm_trials(run.facts, problem.space, runs)
    with run.lock(observer.note):
        observer.begin(run, config)
        _check_same_data(run, problem)
        _check_same_start(run, evaluator)
        if existing is not None:
            _warn_of_other_machine(run, engine.environment(evaluator), observer)
        screen_by_table(config, problem, evaluator, observer)
        strategy = prepared(strategy, config, problem, evaluator, run.checkpoints, observer)
        if not run.trials:
            _say_share_feasible(problem, evaluator, observer, seed=config.seed)
        if earlier:
            observer.note(warm_text(run.facts, earlier))
        coordinator = Coordinator(run, config, problem, strategy, observer, earlier)
        engine.run(coordinator, evaluator)
        ending = coordinator.ending
        remeasure_front(run, evaluator, problem.constraints, observer)
        _say_what_became_of_recommendations(strategy, run, observer)
    if not any(trial.feasible for trial in run.trials):
        raise AttnasError(f"{ending} {nothing_feasible(run)}")
    observer.note(ending)
    if rungs := rungs_text(run.trials):
        observer.note(rungs)
    if proxies := proxies_text(run.trials):
        observer.note(proxies)
    return run


def _facts(
    config: Config, problem: Problem, evaluator: Evaluator, runs: str | Path
) -> dict[str, Any]:
    """The facts of a new run, with those of the older one that it begins from."""
    facts = make_facts(config, problem, evaluator.screen(problem.space.plain))
    if config.warm_start is not None:
        facts["warm_start"] = remember_older(config, facts, runs)
    if config.init not in (None, "scratch"):
        facts["start"] = evaluator.start.label  # type: ignore[attr-defined]
    return facts


def _say_what_became_of_recommendations(strategy: Strategy, run: Run, observer: Observer) -> None:
    """Which budgets are kept, and how far the supernet's ranking can be believed."""
    if isinstance(strategy, Recommended):
        for line in strategy.closing(run.trials):
            observer.note(line)
        write_doubt(run)


def _say_share_feasible(
    problem: Problem, evaluator: Evaluator, observer: Observer, *, seed: int
) -> None:
    space = problem.space
    observer.note(f"{space.size:,} distinct architectures.")
    if not problem.constraints:
        return
    broken: list[Mapping[str, float]] = []

    def feasible(architecture: Architecture) -> bool:
        observer.sampling(len(broken) + 1, SHARE_SAMPLES)
        try:
            violations = evaluator.screen(architecture).violations
        except Exception:  # it will be a failed trial if it is proposed
            return False
        if violations:
            broken.append(violations)
        return not violations

    rng = np.random.default_rng((seed, 2**32))
    share, low, high = space.share_feasible(rng, feasible, SHARE_SAMPLES)
    observer.note(f"Feasible: {share:.0%} of the space (95 % interval {low:.0%} to {high:.0%}).")
    if share == 0 and broken:
        [(constraint, count)] = Counter(c for b in broken for c in b).most_common(1)
        least = min(broken, key=lambda b: sum(b.values()))
        observer.note(
            f"'{constraint}' rejects {count} of the {len(broken)} looked at; the nearest: "
            f"{violations_text(least)}."
        )


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


def _check_same_start(run: Run, evaluator: Evaluator) -> None:
    then = run.facts.get("start")
    if then is not None and then != evaluator.start.label:  # type: ignore[attr-defined]
        raise InputError(
            f"the file has other weights than those that the run {run.folder} began with.",
            key="init",
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
