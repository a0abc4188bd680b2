"""What to evaluate next, what is in flight, and when a search is over."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from attnas.core import AttnasError, History, Proposal, TrainingResult, Trial, merged
from attnas.results import Run, epochs_trained
from attnas.strategies import Strategy

from .config import Config
from .evaluation import Screened, known_already, make_trial
from .observer import Observer
from .problem import Problem

REJECTIONS_IN_A_ROW = 300
FAILURES_AT_START = 3


@dataclass(frozen=True)
class Task:
    """A proposal that is handed out under a number of its own.

    `reference`: it is the plain backbone, to be trained even if it breaks a constraint.
    `screened`: what is known without training, where the architecture was trained with another
    seed before.
    """

    number: int
    proposal: Proposal
    reference: bool = False
    screened: Screened | None = None


class Coordinator:
    """One session of a search on an open, locked run; whatever evaluates asks it.

    An engine takes tasks from `next` and gives each back to `finish`, in any order, until
    there is an `ending`. `earlier` are an older run's trials, which only the strategy hears
    of (`warm_start`). It is not to be used by several threads at once.
    """

    def __init__(
        self,
        run: Run,
        config: Config,
        problem: Problem,
        strategy: Strategy,
        observer: Observer,
        earlier: Sequence[Trial] = (),
    ) -> None:
        self.run, self.config, self.problem = run, config, problem
        self.strategy, self.observer = strategy, observer
        self.ending = ""
        self.running: dict[int, Task] = {}
        own = [t for t in run.recorded if t.architecture in problem.space]
        self._finished = [*earlier, *own]
        self._trained = sum(trial.state != "infeasible" for trial in run.trials)
        self._seconds = sum(trial.seconds for trial in run.trials)
        self._rejections = 0
        self._waits = False

    def next(self) -> Task | None:
        """The next task; None while a trial in flight must finish first, or if there is an
        `ending`."""
        if self._waits or self.ending:
            return None
        over = self._budget_used() or self._only_rejections()
        proposal = None if over or self._budget_in_flight() else self._proposal()
        if proposal is not None:
            return self._hand_out(proposal)
        if self.running:
            self._waits = True
        else:
            self.ending = over or self._space_used_up()
        return None

    def record(self, task: Task, screened: Screened, trained: TrainingResult | None) -> Trial:
        """Makes the trial of a task that was evaluated, and stores it (`finish`)."""
        trial = make_trial(
            task.proposal,
            task.number,
            screened,
            trained,
            self.problem.objectives,
            self.problem.constraints,
            seed=self.config.seed,
        )
        return self.finish(task, trial)

    def finish(self, task: Task, trial: Trial) -> Trial:
        """Stores the trial of a task, under the next number of the run.

        Raises:
            AttnasError: it cannot be stored, or the first trials all failed alike.
        """
        trial = replace(trial, number=len(self.run.trials))
        self.run.append(trial)
        del self.running[task.number]
        self._waits = False
        if trial.architecture in self.problem.space:
            self._finished.append(trial)
        self._seconds += trial.seconds
        self._trained += trial.state != "infeasible"
        self._rejections = self._rejections + 1 if trial.state == "infeasible" else 0
        self.observer.trial(trial)
        self._check_failures()
        return trial

    def _hand_out(self, proposal: Proposal) -> Task:
        known = known_already(proposal, self.run.recorded)
        task = Task(self._next_number, proposal, proposal.architecture.is_plain, known)
        self.running[task.number] = task
        self.observer.evaluating(task.number, proposal)
        return task

    @property
    def _next_number(self) -> int:
        """Grows by one with every task: what finishes moves from the second to the first."""
        return len(self.run.trials) + len(self.running)

    def _proposal(self) -> Proposal | None:
        """The next baseline, else the strategy's; before either the plain backbone.

        Its seed is the run's own unless the strategy says another.
        """
        proposal = self._baseline() or self._of_strategy()
        if proposal is None:
            return None
        if proposal.seed is None:
            proposal = replace(proposal, seed=self.config.seed)
        plain = replace(proposal, architecture=self.problem.space.plain)
        return plain if self._lacks(plain) else proposal

    def _baseline(self) -> Proposal | None:
        """The next of the baselines that was not begun; once more if killed during it."""
        for architecture in self.problem.baselines.values():
            if not any(begun.architecture == architecture for begun in self._begun()):
                return Proposal(architecture, self.config.training.epochs)
        return None

    def _of_strategy(self) -> Proposal | None:
        running = [t.proposal for t in self.running.values()]
        in_space = tuple(p for p in running if p.architecture in self.problem.space)
        history = History(tuple(self._finished), in_space, self._next_number)
        return self.strategy.propose(history)

    def _lacks(self, plain: Proposal) -> bool:
        """Whether the plain backbone must come first, as the reference after as many epochs and
        with that seed: so it is the first task of a run, and once more if the search is killed
        during it."""
        wanted = plain.epochs, plain.seed
        return not any(
            b.architecture.is_plain and (b.epochs, b.seed) == wanted for b in self._begun()
        )

    def _begun(self) -> Iterator[Trial | Proposal]:
        """What was handed out, of this run's sessions, the first trials first."""
        yield from self.run.trials
        yield from (task.proposal for task in self.running.values())

    def _budget_used(self) -> str:
        budget = self.config.budget
        if budget.trials is not None and self._trained >= budget.trials:
            return f"Budget used: {_counted(budget.trials, 'trial')}."
        if budget.epochs is not None and epochs_trained(self.run.trials) >= budget.epochs:
            return f"Budget used: {_counted(budget.epochs, 'epoch')}."
        if budget.hours is not None and self._seconds / 3600 >= budget.hours:
            return f"Budget used: {budget.hours:g} hours."
        return ""

    def _budget_in_flight(self) -> bool:
        """Whether the trials in flight are the last ones, if none of them is rejected."""
        trials, epochs = self.config.budget.trials, self.config.budget.epochs
        if trials is not None and self._trained + len(self.running) >= trials:
            return True
        if epochs is None:
            return False
        running = [task.proposal for task in self.running.values()]
        return epochs_trained(self.run.trials, running) >= epochs

    def _check_failures(self) -> None:
        """Stops a search that cannot work: the first trials all fail in the same way."""
        if self._trained != FAILURES_AT_START:
            return
        trained = [trial for trial in self.run.trials if trial.state != "infeasible"]
        kinds = {(trial.state, trial.reason.split(":")[0]) for trial in trained}
        if len(kinds) == 1 and trained[0].state == "failed":
            raise AttnasError(
                f"the first {FAILURES_AT_START} trials failed in the same way "
                f"({trained[-1].reason}). The run is kept in {self.run.folder}."
            )

    def _only_rejections(self) -> str:
        if self._rejections < REJECTIONS_IN_A_ROW:
            return ""
        found = any(trial.feasible for trial in self.run.trials)
        likely = " What is feasible is probably used up." if found else ""
        return (
            f"{self._rejections} proposals in a row broke a constraint.{likely} Loosen the bound, "
            "or run the same command again to look further."
        )

    def _space_used_up(self) -> str:
        states = Counter(trial.state for trial in merged(self.run.trials))
        size = self.problem.space.size
        if len({trial.architecture for trial in self._finished}) < size:
            return (
                f"The strategy has nothing more to propose: {states['complete']} architectures "
                f"were trained, {states['infeasible']} broke a constraint, {states['failed']} "
                "failed."
            )
        return (
            f"The search space is used up: of its {size:,} architectures "
            f"{states['complete']} were trained, {states['infeasible']} broke a constraint, "
            f"{states['failed']} failed."
        )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
