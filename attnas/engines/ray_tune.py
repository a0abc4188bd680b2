"""The engine `ray`: Ray Tune runs the trainings, fed by our strategy through its searcher."""

import hashlib
import math
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from attnas.core import AttnasError, Proposal, Screening
from attnas.evaluator import Evaluator, TimeSlices, resolved_precision

from ..config import Config
from ..coordinator import Coordinator
from ..engine_config import RayConfig
from ..evaluation import Screened, screen
from ..facts import environment
from ..objects import Parcel
from ..problem import Problem
from ..setup import in_its_precision, make_evaluator
from .feed import Feed
from .measuring import MeasuringNode, remote_evaluator
from .ray_session import logged, ray_installed, ray_session, scratch
from .worker import Worker, WorkerSettings, task_record, trained_from

LOG = "ray.log"


class RayEngine:
    """Many workers, on this machine or in a cluster.

    Screening, with its measurement of latency, happens in one place: in this process, or on
    the node of the cluster that has the custom resource `latency`.
    """

    def __init__(self, config: RayConfig) -> None:
        ray_installed()
        self.config = config
        self._open = ExitStack()
        self._joined = False
        self._turns: Path | None = None
        self.precision = "auto"

    def __enter__(self) -> "RayEngine":
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()
        if self._turns is not None:
            shutil.rmtree(self._turns, ignore_errors=True)

    @property
    def threads(self) -> int:
        """Of torch in a worker."""
        return max(1, math.floor(self.config.cpus))

    def evaluator(
        self, config: Config, problem: Problem, plain: Screening | None, checkpoints: Path
    ) -> Evaluator:
        """What screens; it measures the plain backbone now if `plain` is not given."""
        self.precision = config.training.precision
        if self.config.address is not None:
            self._join()  # to see whether it has a node to measure on
            turns = _turns_folder(checkpoints.parent)
            if (remote := remote_evaluator(config, plain, turns)) is not None:
                return remote
        return make_evaluator(config, problem, plain, checkpoints)

    def environment(self, evaluator: Evaluator) -> dict[str, Any]:
        """As `facts.environment`, of the workers where it is they who compute."""
        found = environment(evaluator)
        device = "cuda" if self.config.gpus else "cpu"
        if found["training_device"] not in ("none", device):
            found["training_device"] = device
            if self.precision == "auto":  # this process has another device: theirs decides
                known = None if self.config.gpus else resolved_precision("auto", device)
                found["precision"] = known or "auto"
        return {**found, "training_threads": self.threads}

    def run(self, coordinator: Coordinator, evaluator: Evaluator) -> None:
        """Evaluates what the coordinator hands out until the search is over.

        Raises:
            AttnasError: a trial cannot be stored, the first ones all failed alike, or Ray
                cannot be used.
        """
        run = coordinator.run
        turns = self._turns = _turns_folder(run.folder)  # the run is locked: nobody else uses it
        slices = TimeSlices(turns)

        def screen_alone(proposal: Proposal) -> Screened:
            if isinstance(evaluator, MeasuringNode):
                return screen(proposal, evaluator)
            with slices.alone():
                return screen(proposal, evaluator)

        feed = Feed(
            coordinator,
            screen_alone,
            workers=self.config.workers,
            limit_s=coordinator.config.training.time_limit_s,
        )
        content = in_its_precision(coordinator.config, run).model_dump(mode="json")
        settings = WorkerSettings(
            config=content,
            plain=evaluator.plain,
            checkpoints=run.checkpoints.resolve(),
            turns=turns,
            directory=Path.cwd(),
            threads=self.threads,
            objects=Parcel.of(content),
        )
        if feed.look_ahead():
            with logged(run.folder / LOG):
                self._join()
                _tune(feed, settings, self.config, run.folder / LOG)
            if self.config.address is None:  # what is measured now is measured alone
                self._leave()

    def _join(self) -> None:
        if not self._joined:
            self._open.enter_context(ray_session(self.config))
            self._joined = True

    def _leave(self) -> None:
        self._open.close()
        self._joined = False


def _tune(feed: Feed, settings: WorkerSettings, config: RayConfig, log: Path) -> None:
    from ray import tune

    kept = _Kept()
    with scratch() as folder:
        try:
            tune.run(
                worker_class(settings, config),
                name="search",
                search_alg=_searcher(feed, kept),
                callbacks=[_callback(feed, kept)],
                num_samples=-1,
                max_failures=0,  # the feed tries again itself
                reuse_actors=True,
                raise_on_failed_trial=False,
                storage_path=folder,
                trial_name_creator=lambda trial: trial.trial_id,
                trial_dirname_creator=lambda trial: trial.trial_id,
                verbose=0,
            )
        except Exception as error:
            if kept.error is None:
                said = str(error).strip().splitlines()
                last = said[-1] if said else type(error).__name__
                raise AttnasError(
                    f"Ray Tune stopped: {last.rstrip('.')}. {log} says more; the same command "
                    "goes on."
                ) from error
    if kept.error is not None:
        raise kept.error


class _Kept:
    """Keeps the first error of its blocks, of which Ray Tune would make a text."""

    error: BaseException | None = None

    def __enter__(self) -> None:
        """Nothing."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.error = self.error or error


def worker_class(settings: WorkerSettings, config: RayConfig) -> Any:
    """What Ray Tune starts in its workers, and what of a machine each of them takes."""
    from ray import tune

    trainable = tune.with_parameters(_trainable(), settings=settings)
    return tune.with_resources(trainable, {"cpu": config.cpus, "gpu": config.gpus})


def _trainable() -> type:
    """One task after the other in one process."""
    from ray import tune

    class Training(tune.Trainable):
        def setup(self, config: dict[str, Any], **given: WorkerSettings) -> None:
            self.worker = Worker(given["settings"])
            self.worker.begin(config["task"])

        def step(self) -> dict[str, Any]:
            return self.worker.next_event()

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.worker.begin(new_config["task"])
            return True

    return Training


def _searcher(feed: Feed, kept: _Kept) -> Any:
    from ray.tune.search import Searcher

    class Strategy(Searcher):
        def suggest(self, trial_id: str) -> Any:
            with kept:
                task = feed.take(trial_id)
            if task is not None:
                return {"task": task_record(task)}
            return Searcher.FINISHED if feed.over() else None

        def on_trial_complete(self, *_: Any, **__: Any) -> None:
            """Nothing: the callback has seen more."""

        def save_to_dir(self, *_: Any, **__: Any) -> None:
            """Nothing: the run's store is all that is needed to go on."""

    return Strategy()


def _callback(feed: Feed, kept: _Kept) -> Any:
    from ray.tune import Callback

    class Events(Callback):
        def on_step_begin(self, iteration: int, trials: list[Any], **_: Any) -> None:
            with kept:
                feed.waiting()

        def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
            with kept:
                feed.began(trial.trial_id)

        def on_trial_result(
            self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any
        ) -> None:
            with kept:
                if "epoch" in result:
                    feed.epoch(trial.trial_id, result["epoch"])
                if "trained" in result:
                    feed.done(trial.trial_id, trained_from(result.pop("trained")))

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
            with kept:
                feed.lost(trial.trial_id, trial.get_pickled_error())

    return Events()


def _turns_folder(folder: Path) -> Path:
    """Where the processes of a run take turns: on each machine's own disk, by the run's path."""
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"attnas-turns-{digest}"
