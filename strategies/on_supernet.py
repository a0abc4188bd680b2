"""What every strategy on a supernet is: the settings they share, and when they search."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from attnas.core import History, InputError, Objective, Proposal, Resources

from .recommendation import Recommendation
from .recommended import Recommended
from .registry import check_settings, setting
from .targets import check_targets
from .weight_sharing import SupernetSearch, prepare_recommended

if TYPE_CHECKING:
    from attnas.search_space import SearchSpace


@dataclass(frozen=True)
class OnSupernet(ABC):
    """Searches on a supernet when it is prepared; what it recommends is then proposed."""

    space: "SearchSpace"
    objectives: tuple[Objective, ...]
    epochs: int
    seed: int
    check: int = setting(10, "random architectures trained as the control", low=0)
    supernet_epochs: int = setting(
        0, "epochs of the supernet's training; 0: those of a trial", low=0
    )
    targets: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_settings(self)
        check_targets(self.targets)
        for decision, options in zip(self.space.decisions, self.space.options, strict=True):
            if not decision.shares(options, self.space.backbone):
                raise InputError(
                    "a supernet shares one set of weights among all options, which it cannot "
                    f"among those of '{decision.name}' (search_space.{decision.key}). Leave that "
                    "out, or take a strategy that trains each architecture, such as 'local'.",
                    key="name",
                )

    @property
    def training_epochs(self) -> int:
        """Epochs of the supernet's training."""
        return self.supernet_epochs or self.epochs

    @abstractmethod
    def search(self, search: SupernetSearch) -> Sequence[Recommendation]:
        """Trains the supernet and searches it; returns what `prepare_recommended` asks for."""

    def propose(self, history: History) -> Proposal | None:
        """Not of itself: see `prepare`.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            f"{type(self).__name__} proposes nothing itself: call `prepare` and ask what it returns"
        )

    def prepare(self, resources: Resources) -> Recommended:
        """Trains and searches, and gives what proposes the result.

        Raises:
            AttnasError: nothing meets the constraints or the targets, or the training failed.
        """
        return prepare_recommended(self, resources, self.search)
