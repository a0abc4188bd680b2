"""The live view of a search: a line a trial, and below it what is going on."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from attnas.core import Proposal, Trial, described, in_order
from attnas.results import Run, epochs_trained

from .config import BudgetConfig, Config
from .observer import Observer

IN_FLIGHT_SHOWN = 8
SECONDS_A_LINE = 30.0
"""Where nothing is redrawn, a long preparation says so often how far it is."""


class LiveView(Observer):
    """Shows trials done, feasible, best so far, hypervolume and time left.

    On a terminal the last lines are redrawn in place; elsewhere there is one line a trial.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live: Live | None = None
        self.run: Run | None = None
        self.budget = BudgetConfig()
        self.now = ""
        self.told = "", 0.0  # what was prepared in the last line where nothing is redrawn, and when
        self.best_of = -1, ("", "")  # the number of trials, and what they gave
        self.in_flight: dict[int, tuple[Proposal, str]] = {}  # with the epochs done, as text
        self.began = 0.0
        self.trained_here = 0
        self.interrupted = False

    @contextmanager
    def shown(self) -> Iterator["LiveView"]:
        """Draws, and minds Ctrl-C, for as long as the block runs."""
        before = signal.signal(signal.SIGINT, self._interrupt), sys.unraisablehook
        sys.unraisablehook = _quiet_about_interrupts
        try:
            if not self.console.is_terminal:
                yield self
                return
            with Live(console=self.console, refresh_per_second=4, transient=True) as live:
                self.live = live
                yield self
        finally:
            self.live = None
            signal.signal(signal.SIGINT, before[0])
            sys.unraisablehook = before[1]

    def _interrupt(self, *_: object) -> None:
        self.interrupted = True
        raise KeyboardInterrupt

    def _check_interrupted(self) -> None:
        """Python drops an exception that a signal raises inside a destructor or a callback of
        a weak reference; so the search stops here at the latest."""
        if self.interrupted:
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        wrap = self.console.is_terminal  # in a file a line stays a line
        self.console.print(text, highlight=False, markup=False, soft_wrap=not wrap)

    def begin(self, run: Run, config: Config) -> None:
        self.run, self.budget = run, config.budget
        if run.trials:
            self.note(f"Goes on with {run.folder}: {len(run.trials)} trials are in it.")
        else:
            self.note(f"Run {run.folder}.")

    def preparing(self, text: str, done: int, steps: int) -> None:
        self._check_interrupted()
        self.now = f"{text}: {done} of {steps}"
        self._draw()
        if self.live is None:
            phase, when = self.told
            if phase != text or time.monotonic() - when > SECONDS_A_LINE:
                self.told = text, time.monotonic()
                self.note(self.now)

    def evaluating(self, number: int, proposal: Proposal) -> None:
        self._check_interrupted()
        self.began = self.began or time.monotonic()
        self.now = ""
        self.in_flight[number] = (proposal, "")
        self._draw()

    def epoch(self, number: int, epoch: int, epochs: int) -> None:
        self._check_interrupted()
        if number in self.in_flight:
            self.in_flight[number] = self.in_flight[number][0], f"  epoch {epoch} of {epochs}"
        self._draw()

    def waiting(self) -> None:
        self._check_interrupted()

    def trial(self, trial: Trial) -> None:
        if trial.state != "infeasible":
            self.trained_here += 1
        self.console.print(self._line(trial), highlight=False, soft_wrap=True)
        done = (trial.architecture, trial.epochs)  # in flight only once
        self.in_flight = {
            n: (p, epochs)
            for n, (p, epochs) in self.in_flight.items()
            if (p.architecture, p.epochs) != done
        }
        self._draw()

    def _line(self, trial: Trial) -> Text:
        """One trial on one line."""
        head = f"{trial.number:4d}  "
        if trial.state != "complete":
            style = "dim" if trial.state == "infeasible" else "red"
            return Text(f"{head}{trial.state}  {trial.architecture}  {trial.reason}", style=style)
        figures = [self._figure(name, trial.metrics[name]) for name in self._shown_of(trial)]
        if trial.schedule_epochs is not None:
            figures.append(f"{trial.epochs} of {trial.schedule_epochs} epochs")
        figures.append(f"{trial.seconds:.0f} s")
        style = "" if trial.feasible else "yellow"
        mark = "" if trial.feasible else f"  infeasible: {trial.reason}"
        return Text(f"{head}{'  '.join(figures)}  {trial.architecture}{mark}", style=style)

    def _shown_of(self, trial: Trial) -> list[str]:
        """The metrics that a line has room for: what is pushed, and the latency."""
        objectives = [o.metric for o in self.run.objectives] if self.run is not None else []
        wanted = {*objectives, "latency_ms"} & trial.metrics.keys()
        return in_order(wanted)

    def _figure(self, name: str, value: float) -> str:
        """Short; without its name where one is used to it: the first objective, the latency."""
        metric = described(name)
        if name == "latency_ms":
            return f"{value:.3g} ms"
        first = self.run is not None and name == self.run.main_objective.metric
        return f"{value:.2%}" if first and metric.format == "percent" else metric.named(value)

    def _draw(self) -> None:
        if self.live is not None and self.run is not None:
            self.live.update(self._status())

    def _status(self) -> Table:
        assert self.run is not None
        trials = self.run.trials
        trained = [trial for trial in trials if trial.state != "infeasible"]
        feasible = [trial for trial in trained if trial.feasible]
        grid = Table.grid(padding=(0, 2))
        of = f" of {self.budget.trials}" if self.budget.trials else ""
        parts = [f"{len(trained)}{of} trained", f"{len(feasible)} feasible"]
        if self.budget.epochs:
            parts.append(f"{epochs_trained(trials)} of {self.budget.epochs} epochs")
        parts.append(f"{len(trials) - len(trained)} rejected untrained")
        if feasible:
            parts += self._best_so_far()
        if left := self._time_left(len(trained)):
            parts.append(left)
        grid.add_row(Text(" · ".join(parts), style="bold"))
        for line in self._doing():
            grid.add_row(Text(line, style="dim", overflow="ellipsis", no_wrap=True))
        return grid

    def _best_so_far(self) -> tuple[str, str]:
        """Best and hypervolume, which change with the trials alone; there is a feasible one."""
        assert self.run is not None
        if self.best_of[0] != len(self.run.trials):
            objective = self.run.main_objective.metric
            best = described(objective).text(self.run.best().metrics[objective])
            volume = f"hypervolume {self.run.hypervolume():.4f}"
            self.best_of = (
                len(self.run.trials),
                (f"best {objective.replace('_', ' ')} {best}", volume),
            )
        return self.best_of[1]

    def _doing(self) -> list[str]:
        """A line for each proposal in flight, as many as a terminal has room for."""
        lines = [self.now] if self.now else []
        lines += [
            f"trial {n}: {p.architecture}{epochs}" for n, (p, epochs) in self.in_flight.items()
        ]
        more = len(lines) - IN_FLIGHT_SHOWN
        return [*lines[:IN_FLIGHT_SHOWN], *([f"and {more} more"] if more > 0 else [])]

    def _time_left(self, trained: int) -> str:
        """By the time that a training took so far, and by the budget of hours."""
        assert self.run is not None
        bounds = []
        if self.budget.trials and self.trained_here > 1:  # the first is the plain backbone
            each = (time.monotonic() - self.began) / self.trained_here
            bounds.append(each * (self.budget.trials - trained))
        if self.budget.hours:
            spent = sum(trial.seconds for trial in self.run.trials)
            bounds.append(3600 * self.budget.hours - spent)
        if not bounds:
            return ""
        minutes, seconds = divmod(round(max(0.0, min(bounds))), 60)
        return f"{minutes}:{seconds:02d} left"


def _quiet_about_interrupts(unraisable: "sys.UnraisableHookArgs") -> None:
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
