"""What hears a search: the live view, or nobody."""

from typing import TYPE_CHECKING

from attnas.core import Proposal, Trial
from attnas.results import Run

if TYPE_CHECKING:
    from .config import Config


class Observer:
    """Hears what a search does; every method may be overridden.

    `number` is that of a proposal: how many were handed out before it, counting earlier
    sessions' trials. With several workers trials are stored in the order they finish, so
    that a stored trial may have another number.
    """

    def note(self, text: str) -> None:
        """Something that a user should read."""

    def begin(self, run: Run, config: "Config") -> None:
        """The run is open; trials of earlier sessions are in it."""

    def preparing(self, text: str, done: int, steps: int) -> None:
        """Something is done before the trials begin, and so many steps of it are."""

    def evaluating(self, number: int, proposal: Proposal) -> None:
        """A proposal is being screened and, if it passes, trained."""

    def epoch(self, number: int, epoch: int, epochs: int) -> None:
        """An epoch of the proposal of that number is done."""

    def waiting(self) -> None:
        """Nothing happened for a moment; may raise KeyboardInterrupt to stop the search."""

    def trial(self, trial: Trial) -> None:
        """A trial is stored."""
