"""What a strategy is: a pure function of the history and its seed."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from attnas.core import History, Objective, Proposal, Resources

if TYPE_CHECKING:
    from attnas.search_space import SearchSpace


@runtime_checkable
class Strategy(Protocol):
    """Proposes the next trial.

    An implementation is a frozen dataclass of settings: nothing survives a call, so a run
    that was killed goes on as if it had not been. Fields every strategy has: `space`,
    `objectives`, `epochs`, `seed`.
    """

    space: "SearchSpace"
    objectives: tuple[Objective, ...]
    epochs: int
    seed: int

    def propose(self, history: History) -> Proposal | None:
        """The next proposal, never one in `history.tried` nor of a rejected architecture;
        None when the space has nothing left."""
        ...


@runtime_checkable
class Preparing(Protocol):
    """A strategy that must train something, such as a supernet, before it can propose."""

    def prepare(self, resources: Resources) -> Strategy:
        """The strategy that proposes; the same one if called again with the same folder.

        Raises:
            AttnasError: the training failed, or nothing meets the constraints.
        """
        ...
