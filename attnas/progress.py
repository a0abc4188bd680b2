"""The progress of a search in a Python program: a bar, in a notebook one of a notebook."""

from tqdm.auto import tqdm

from attnas.core import Proposal, Trial, described
from attnas.results import Run

from .config import Config
from .observer import Observer


class ProgressBar(Observer):
    """One bar of trials trained, with the best so far; notes are printed above it."""

    def __init__(self) -> None:
        self.bar: tqdm | None = None
        self.run: Run | None = None
        self.feasible = 0

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def begin(self, run: Run, config: Config) -> None:
        trained = [trial for trial in run.trials if trial.state != "infeasible"]
        self.run, self.feasible = run, sum(trial.feasible for trial in trained)
        self.bar = tqdm(
            desc=run.name, total=config.budget.trials, initial=len(trained), unit="trial"
        )

    def note(self, text: str) -> None:
        tqdm.write(text)

    def preparing(self, text: str, done: int, steps: int) -> None:
        self._say(f"{text}: {done} of {steps}")

    def evaluating(self, number: int, proposal: Proposal) -> None:
        self._say(str(proposal.architecture))

    def trial(self, trial: Trial) -> None:
        if self.bar is None or trial.state == "infeasible":
            return
        self.feasible += trial.feasible
        self.bar.update()
        self._say("")

    def _say(self, now: str) -> None:
        if self.bar is None or self.run is None:
            return
        parts = [f"{self.feasible} feasible"]
        if self.feasible:
            metric = self.run.main_objective.metric
            best = described(metric).text(self.run.best().metrics[metric])
            parts.append(f"best {metric} {best}")
        self.bar.set_postfix_str(", ".join([*parts, *([now] if now else [])]))
