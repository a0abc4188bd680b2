"""The search loop: propose, screen, train, store, until the budget is spent."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attnas.core import (
    AttnasError,
    InputError,
    Screening,
    import_plugins,
    named_code,
)
from attnas.evaluator import Evaluator
from attnas.results import (
    CHECKPOINTS,
    PASSWORD,
    Run,
    check_storage,
    config_difference,
    nothing_feasible,
    proxies_text,
    rungs_text,
    without_literals,
    write_ranking_reliability,
)
from attnas.strategies import Recommended, Strategy

from .config import Config, parse_config, read_content, read_from
from .coordinator import Coordinator
from .engines import Engine, engine
from .facts import function_facts, make_facts, screening_from
from .feasible_share import say_feasible_share
from .front_latency import remeasure_front
from .left_out import left_out
from .objects import hand_over, with_objects
from .observer import Observer
from .problem import Problem, make_problem
from .profile import screen_by_table
from .progress import ProgressBar
from .reachable import check_reachable
from .setup import in_its_precision, make_device, make_searcher, make_start, prepared, run_folder
from .starting_weights import backbone_weights
from .warm_start import remember_older, warm_text, warm_trials

__all__ = ["Observer", "search"]


def search(
    config: Config | Mapping[str, Any] | str | Path,
    *,
    runs: str | Path = "runs",
    observer: Observer | None = None,
    backbone: Any = None,
    data: Any = None,
    train: Any = None,
) -> Run:
    """Runs a search, or goes on with it where it was interrupted, and returns its run.

    The run is kept in `runs`/name after every trial; the same call goes on with it.

    Args:
        config: a path, a mapping or a `Config`.
        runs: folder of the runs.
        observer: hears what the search does; a progress bar if not given. `Observer()` is
            silent.
        backbone: the network, or a function that makes it, instead of `search_space.backbone`'s
            `name` or `factory`.
        data: arrays, a torch dataset or splits (`hand_over`), instead of `data.source`.
        train: a training function, instead of `training.function`.

    Raises:
        InputError: the config, its data or an existing run of that name do not fit.
        AttnasError: the search cannot go on, or ended with nothing feasible; all trials
            are kept.
    """
    names = hand_over(backbone=backbone, data=data, train=train)
    if isinstance(config, str | Path):
        with read_from(config):
            content = with_objects(read_content(config), names)
            parsed = parse_config(content, file=str(config))
            return search(parsed, runs=runs, observer=observer)
    if names or not isinstance(config, Config):
        if isinstance(config, Config):
            config = config.model_dump(exclude_unset=True)
        config = parse_config(with_objects(config, names))
    with engine(config) as opened:
        if observer is not None:
            return _search(config, runs, observer, opened)
        with ProgressBar() as bar:
            return _search(config, runs, bar, opened)


def _search(config: Config, runs: str | Path, observer: Observer, engine: Engine) -> Run:
    import_plugins(config.plugins)
    config = _without_password(config, observer)
    problem = make_problem(config)
    strategy = make_searcher(config, problem)
    existing = _existing_run(config, runs, problem)
    plain = screening_from(existing.facts) if existing is not None else None
    folder = run_folder(config, runs)
    in_run = config if existing is None else in_its_precision(config, existing)
    evaluator = engine.evaluator(in_run, problem, plain, folder / CHECKPOINTS)
    run = existing or Run.create(
        folder,
        config=config.model_dump(mode="json", exclude_none=True),
        facts=_facts(config, problem, evaluator, runs, folder),
        environment=engine.environment(evaluator),
        storage=config.storage,
    )
    earlier = warm_trials(run.facts, problem.space, runs)
    with run.lock(observer.note):
        observer.begin(run, config)
        if existing is not None:  # a new run has remembered them just now
            _check_same_data(run, problem)
            _check_same_start(run, config, problem)
            _warn_of_other_machine(run, engine.environment(evaluator), observer)
            _warn_of_other_function(run, function_facts(config, problem), observer)
        table = screen_by_table(config, problem, evaluator, observer)
        strategy = prepared(strategy, config, problem, evaluator, run.checkpoints, observer)
        if not run.trials:
            for note in left_out(config.search_space, problem.space.backbone):
                observer.note(f"Note: {note}.")
            say_feasible_share(problem, evaluator, observer, seed=config.seed, table=table)
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
    for text in (f(run.trials, run.main_objective.metric) for f in (rungs_text, proxies_text)):
        if text:
            observer.note(text)
    return run


def _without_password(config: Config, observer: Observer) -> Config:
    """The config as a run keeps it: a password in the URL of its database is not written down."""
    kept = None if config.storage is None else without_literals(config.storage)
    if kept == config.storage:
        return config
    observer.note(
        "The database's password is not written down: other commands find it in the environment "
        f"variable {PASSWORD}."
    )
    return config.model_copy(update={"storage": kept})


def _facts(
    config: Config, problem: Problem, evaluator: Evaluator, runs: str | Path, folder: Path
) -> dict[str, Any]:
    """The facts of a new run, with those of the older one that it begins from.

    Raises:
        InputError: a bound is out of the search space's reach; nothing is written then.
    """
    plain = evaluator.screen(problem.space.plain)
    check_reachable(problem.space, problem.constraints, plain.metrics)
    facts = make_facts(config, problem, plain)
    if config.warm_start is not None:
        facts["warm_start"] = remember_older(config, facts, runs)
    if config.init not in (None, "scratch"):
        facts["start"] = make_start(config, problem, folder / CHECKPOINTS).label
    if problem.table is None and (known := backbone_weights(problem.space.backbone)) is not None:
        facts["backbone_weights"] = known
    return facts


def _say_what_became_of_recommendations(strategy: Strategy, run: Run, observer: Observer) -> None:
    """Which budgets are kept, and how far the supernet's ranking can be believed."""
    if isinstance(strategy, Recommended):
        for line in strategy.closing(run.trials):
            observer.note(line)
        write_ranking_reliability(run)


def _existing_run(config: Config, runs: str | Path, problem: Problem) -> Run | None:
    """The run that the search goes on with; None if it begins one.

    What a new config says wrongly is told here, before anything is measured for it, and rather
    than that it differs from the run's.
    """
    folder = run_folder(config, runs)
    trusted = named_code(config.model_dump(mode="json"))  # the user runs this config
    run = Run.open(folder, trust=trusted) if Run.exists(folder) else None
    differences = {} if run is None else _difference(run, config)
    if run is None or differences:
        _check_references(config, runs, problem, folder)
    if differences:
        said = ", ".join(
            f"{key} is another"  # it may have a password
            if key == "storage"
            else f"{key} was {_short(then)} and is {_short(now)}"
            for key, (then, now) in differences.items()
        )
        raise InputError(
            f"was made by another config: {said}. Give this search another 'name', or restore "
            "the config.",
            file=str(folder),
        )
    return run


def _difference(run: Run, config: Config) -> dict[str, tuple[Any, Any]]:
    """What differs from the config that made the run, as this version reads it."""
    then = parse_config(run.config, file=str(run.folder))
    if then.storage is not None:  # as earlier versions kept it
        then = then.model_copy(update={"storage": without_literals(then.storage)})
    dumped = [c.model_dump(mode="json", exclude_none=True) for c in (then, config)]
    return config_difference(*dumped)


def _check_references(config: Config, runs: str | Path, problem: Problem, folder: Path) -> None:
    """Sees whether what the config refers to is there: storage, older run, weights, device."""
    if config.storage is not None:
        check_storage(config.storage)
    if config.warm_start is not None:
        remember_older(config, make_facts(config, problem, Screening({})), runs)
    if problem.table is not None:
        return
    if config.init != "supernet":  # which is trained later
        make_start(config, problem, folder / CHECKPOINTS)
    if config.engine.ray is None or config.engine.ray.address is None:  # else it may be elsewhere
        make_device(config)


def _short(value: Any) -> str:
    if value is None:
        return "not given"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."


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


def _check_same_start(run: Run, config: Config, problem: Problem) -> None:
    known = run.facts.get("backbone_weights")
    if known is not None and known != backbone_weights(problem.space.backbone):
        raise InputError(
            f"the network has other trained weights than those that the run {run.folder} began "
            "with.",
            key="search_space.backbone",
        )
    then = run.facts.get("start")
    if then is not None and then != make_start(config, problem, run.checkpoints).label:
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


def _warn_of_other_function(run: Run, now: Mapping[str, str] | None, observer: Observer) -> None:
    """A training function of one's own that was edited trains otherwise."""
    then = run.facts.get("training_function")
    if then and now and then["sha256"] != now["sha256"]:
        observer.note(
            f"Note: the source of {now['name']} is not as when the run began: new trials may not "
            "compare with its earlier ones."
        )
