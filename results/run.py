"""A run: a folder with the config, the facts and the trials of one search."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnas.core import (
    MARK,
    METRICS,
    AttnasError,
    InputError,
    Metric,
    Objective,
    Trial,
    Trust,
    check_trust,
    import_plugins,
    knee,
    locked,
    merged,
    share_of_box,
)
from attnas.search_space import Architecture, Backbone, decision_from_dict

from . import record as on_disk
from .display import Shown
from .front import best, box_of, front, hypervolume_over_trials, losses
from .front_table import Front, pareto_table
from .headline import headline, summary
from .integrity import Changes
from .new_run import write_new
from .record import CHECKPOINTS, CONFIG_FILE, ENVIRONMENT_FILE, RUN_FILE
from .remeasured import Remeasured, overlaid, read_remeasured, write_remeasured
from .rows import nothing_feasible
from .statistics import PairedDifference
from .storage import REMEASURED, TrialStore
from .trial_differences import differences_to_plain

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType


class Run(Shown):
    """A durable list of trials with the config and the facts that made it.

    `facts` is what is needed to read the trials: `backbone` (as `Backbone.to_dict`),
    `decisions` (as `Decision.to_dict`), `options` (decision -> options as text), `objectives`
    (metric -> direction), `constraints` (metric -> bound as text), `plain` (the plain backbone
    without training: `metrics` and what else was screened), `scored` (the metric that items'
    scores average to), `metrics` (what is known of the metrics), `box` (metric -> the values of
    guessing and of perfection), and what a reader wants to know: `identity_start`, `data`,
    `device`, `task`, `recipe`, `seed`, `strategy`. Those of a run of format 1 are given in the
    same form.

    One process at a time appends; any number may read. A run is made by `Run.create` and
    found by `Run.open`.
    """

    def __init__(self, folder: Path, record: Mapping[str, Any], trust: Trust = False) -> None:
        """Use `Run.create` or `Run.open`."""
        self.folder = folder
        self.name = folder.resolve().name
        self._changes = Changes(folder)
        self.config: dict[str, Any] = self._changes.read(CONFIG_FILE)
        self.environment: dict[str, Any] = self._changes.read(ENVIRONMENT_FILE)
        check_trust(record.get(MARK), record["facts"], self.config, trust=trust, file=str(folder))
        import_plugins(record["facts"].get("plugins", ()))
        self.facts: dict[str, Any] = on_disk.current(record["facts"])
        self.backbone = Backbone.from_dict(self.facts["backbone"])
        self.decisions = tuple(map(decision_from_dict, self.facts["decisions"]))
        for name, described in self.facts.get("metrics", {}).items():
            METRICS.provide(name, Metric(name, **described))
        self.objectives = tuple(
            Objective(metric, direction) for metric, direction in self.facts["objectives"].items()
        )
        self._constraints = tuple(f"{m} {bound}" for m, bound in self.facts["constraints"].items())
        self._store = TrialStore(
            on_disk.place_of_trials(folder, record["storage"]), record["study"], record.get("mark")
        )
        self._recorded: tuple[Trial, ...] = ()
        self._candidates: tuple[Sequence[Trial], Sequence[Trial]] | None = None
        self._differences: tuple[Sequence[Trial], Mapping[int, PairedDifference]] | None = None
        self._front: tuple[Sequence[Trial], list[Trial]] | None = None
        self._locked = False
        self.refresh()

    @classmethod
    def create(
        cls,
        folder: str | Path,
        *,
        config: Mapping[str, Any],
        facts: Mapping[str, Any],
        environment: Mapping[str, Any],
        storage: str | None = None,
    ) -> "Run":
        """Makes the folder of a new run; one that a killed `create` left is completed.

        `storage` is a database URL for the trials, environment variables in it ($NAME) are
        filled in at each use, and put in place of a password; without a URL they go to a SQLite
        file in the folder.

        Raises:
            InputError: the folder holds a run, or the URL is wrong.
            AttnasError: folder or database cannot be written.
        """
        write_new(Path(folder), config, facts, environment, storage)
        return cls.open(folder)

    @classmethod
    def open(
        cls, folder_or_name: str | Path, runs: str | Path = "runs", *, trust: Trust = False
    ) -> "Run":
        """The run in that folder, or of that name in the folder `runs`.

        One that this user did not make may name code that would be imported: see docs/trust.md.
        `trust` says that it may.

        Raises:
            InputError: there is no such run, it has another format, or names code that is not
                trusted.
            AttnasError: a file of it is missing, damaged or cannot be read.
        """
        folder = on_disk.found_folder(folder_or_name, Path(runs))
        record = on_disk.read_record(folder)
        try:
            return cls(folder, record, trust)
        except KeyError as error:
            raise AttnasError(f"{folder / RUN_FILE}: the entry {error} is missing.") from error
        except InputError as error:
            raise error if error.file else error.inside(file=str(folder / RUN_FILE)) from error
        except (AttributeError, TypeError, ValueError) as error:
            raise AttnasError(
                f"{folder / RUN_FILE}: the file is damaged: {error}. Restore a copy."
            ) from error

    @staticmethod
    def exists(folder: str | Path) -> bool:
        """Whether the folder holds a run, of whatever format."""
        return on_disk.exists(folder)

    def _shown(self) -> "RenderableType":
        from rich.console import Group

        title = f"Run {self.name}: {len(self._trials)} trials in {self.folder}"
        return Group(title, pareto_table(self, verdicts=False), headline(self))

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the database; what was read stays usable."""
        self._store.close()

    def refresh(self) -> None:
        """Takes in what was appended and measured again since.

        Trials and files that are not as they were written are told (`changes`); such trials
        stand as failed, all others are as they were.
        """
        new = self._store.load(self.backbone, self.decisions, len(self._recorded))
        self._recorded = (*self._recorded, *new)
        self._again = read_remeasured(self.folder)
        self._trials = overlaid(self._recorded, self._again)
        self._changes.see(self._store, measured=bool(self._again))

    @property
    def database(self) -> Path | None:
        """The file that the trials are in; None if that is a database of its own."""
        return self._store.place if isinstance(self._store.place, Path) else None

    @property
    def changes(self) -> Sequence[str]:
        """What is not as it was written, each with its file and what to do."""
        return self._changes.told

    @contextmanager
    def lock(self, note: Callable[[str], None] | None = None) -> Iterator[None]:
        """Keeps other processes from appending; takes in what they appended before.

        On PostgreSQL it keeps other machines out, too. `note` hears when a database that is
        locked or not there is waited for.

        Raises:
            AttnasError: another search holds the run, which the message names; or the run was
                changed since it was written.
        """
        with locked(self.folder), self._store.lock(note):
            self.refresh()
            self._changes.refuse()
            self._locked = True
            try:
                yield
            finally:
                self._locked = False

    def append(self, trial: Trial) -> None:
        """Adds a trial, durably: it survives the death of the process once this returns.

        Raises:
            ValueError: the trial's number is not the next one.
            AttnasError: the run is locked by another process, or cannot be written; then
                the run is what it was before.
        """
        with nullcontext() if self._locked else self.lock():
            if trial.number != len(self._trials):
                raise ValueError(f"trial {trial.number} cannot follow {len(self._trials)} trials")
            self._store.append(trial, self.facts["options"], self.objectives, self._constraints)
            self._recorded = (*self._recorded, trial)
            self._trials = (*self._trials, trial)

    def remeasure(self, again: Mapping[int, Remeasured], plain: Mapping[str, float]) -> None:
        """Keeps latencies measured again, by trial number, beside those of earlier times.

        `plain` has the plain backbone's `ms`, `low` and `high` of that time.

        Raises:
            AttnasError: the run is locked by another process, or cannot be written.
        """
        with nullcontext() if self._locked else self.lock():
            merged = {**self._again, **again}
            write_remeasured(self.folder, merged, plain)
            self._store.note(REMEASURED, True)
            self._again = merged
            self._trials = overlaid(self._recorded, merged)

    @property
    def trials(self) -> Sequence[Trial]:
        """All trials in order of number, as of opening and what was appended since.

        Those that were on the front at a search's end have the latency that was measured
        then, all side by side, and are feasible or not by that.
        """
        return self._trials

    @property
    def candidates(self) -> Sequence[Trial]:
        """The trials, those of one architecture that differ in their seed alone as one: their
        mean (`attnas.core.merged`)."""
        if self._candidates is None or self._candidates[0] is not self._trials:
            self._candidates = self._trials, merged(self._trials)
        return self._candidates[1]

    def candidate(self, number: int) -> Trial:
        """The one of `candidates` that the trial of that number is, or is among."""
        several = (c for c in self.candidates if any(t.number == number for t in c.replicates))
        return next(several, self._trials[number])

    @property
    def recorded(self) -> Sequence[Trial]:
        """The trials as they were stored when they ended: what proposals come from."""
        return self._recorded

    @property
    def remeasured(self) -> Mapping[int, Remeasured]:
        """The latencies that were measured again, by trial number."""
        return self._again

    def details(self, trial: Trial) -> Mapping[str, Mapping[str, Any]]:
        """What the decisions tell of a trial's options (`Decision.details`), by decision."""
        return self._store.details(trial)

    @property
    def scored(self) -> str:
        """The metric that the items' scores average to; "" if there is none."""
        scores = next((t.scores for t in self._recorded if t.scores is not None), None)
        return str(self.facts.get("scored", "")) if scores is None else scores.metric

    @property
    def main_objective(self) -> Objective:
        """The objective that trials are first looked at by: what training gave, if anything."""
        trained = [o for o in self.objectives if not o.described.cheap]
        scored = [o for o in trained if o.metric == self.scored]
        return next(iter((*scored, *trained, *self.objectives)))

    @property
    def plain_architecture(self) -> Architecture:
        """The network as the backbone's function makes it."""
        start = bool(self.facts.get("identity_start", True))
        return Architecture.plain(self.backbone, self.decisions, start)

    @property
    def differences(self) -> Mapping[int, PairedDifference]:
        """Each complete candidate against the plain backbone, by number
        (`differences_to_plain`)."""
        if self._differences is None or self._differences[0] is not self._trials:
            self._differences = self._trials, differences_to_plain(self.candidates)
        return self._differences[1]

    @property
    def baselines(self) -> dict[str, Trial]:
        """The baselines that were begun, by name: the longest complete trial, else the last."""
        found = {}
        for name, options in self.facts.get("baselines", {}).items():
            mine = [t for t in self.candidates if t.architecture.by_name == options]
            if mine:
                found[name] = max(mine, key=lambda t: (t.state == "complete", t.epochs, t.number))
        return found

    @property
    def checkpoints(self) -> Path:
        """The folder for what training or a strategy may go on from."""
        return self.folder / CHECKPOINTS

    @property
    def plain(self) -> Trial | None:
        """The plain backbone's complete trial, of several the one with the most epochs."""
        plain = [t for t in self.candidates if t.state == "complete" and t.architecture.is_plain]
        return max(plain, key=lambda t: (t.epochs, -t.number), default=None)

    def frame(self, trials: Sequence[Trial] | None = None) -> "pd.DataFrame":
        """One row a trial, of these or of all; see `attnas.results.frame`."""
        from .frame import frame  # pandas only when a table is wanted

        return frame(self, trials)

    def front(self) -> Front:
        """Feasible candidates that no feasible one dominates, by trial number."""
        if self._front is None or self._front[0] is not self._trials:
            self._front = self._trials, front(self.candidates, self.objectives)
        return Front(self._front[1], self)

    def knee(self) -> Trial | None:
        """The front's knee (`attnas.results.knee`); None while no trial is feasible."""
        trials = self.front()
        return trials[knee(losses(trials, self.objectives))] if trials else None

    def best(
        self, max: Mapping[str, float] | None = None, min: Mapping[str, float] | None = None
    ) -> Trial:
        """The feasible candidate best by `main_objective`, metrics at most `max`, at least `min`.

        The other objectives decide between equals.

        Raises:
            InputError: a bound is on an unknown metric.
            AttnasError: no trial meets the bounds; the message names the nearest.
        """
        first = self.main_objective
        ordered = [first, *(o for o in self.objectives if o != first)]
        found, nearest = best(self.candidates, ordered, max, min)
        if found is not None:
            return found
        if nearest is None:
            raise AttnasError(f"{self.folder}: {nothing_feasible(self)}")
        bounds = [f"{m} <= {v:g}" for m, v in (max or {}).items()]
        bounds += [f"{m} >= {v:g}" for m, v in (min or {}).items()]
        names = [*(max or {}), *(min or {})]
        values = ", ".join(f"{m} {nearest.metrics.get(m, math.nan):.4g}" for m in names)
        raise AttnasError(
            f"{self.folder}: no feasible trial has {' and '.join(bounds)}. "
            f"The nearest is trial {nearest.number} with {values}."
        )

    def summary(self) -> str:
        """The verdict: what was found, and whether a confirmation bears it out."""
        return summary(self)

    def export(self, path: str | Path, trial: Trial | int | None = None) -> dict[str, Any]:
        """Writes an architecture, `best()` if none is given; see `attnas.results.write_export`."""
        from .export import write_export

        return write_export(self, trial, path)

    def hypervolume(self) -> float:
        """Hypervolume of the front as a share of `reference_box`; 0 while nothing is feasible."""
        found = self.front()
        return share_of_box(losses(found, self.objectives), *box_of(self)) if found else 0.0

    def hypervolumes(self) -> NDArray[np.float64]:
        """The hypervolume after each trial: shape (trials,); see `hypervolume_over_trials`."""
        if not any(trial.feasible for trial in self._trials):
            return np.zeros(len(self._trials))
        return hypervolume_over_trials(self._trials, self.objectives, *box_of(self))
