"""One option per decision on one backbone: what a search proposes and a run records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from attnas.core import InputError

from .backbone import Backbone
from .decisions.attention import Attention
from .decisions.decision import Decision
from .edits import Edit, kept


@dataclass(frozen=True)
class Architecture:
    """A backbone with one option for each decision, as text, in the order of the decisions.

    It determines the network up to its weights. Spaces make architectures in canonical
    form (`SearchSpace.architecture`), so equal networks of one space are equal values.
    `identity_start` says that blocks compute (nearly) the identity before training.
    """

    backbone: Backbone
    decisions: tuple[Decision, ...]
    options: tuple[str, ...]
    identity_start: bool = True

    def __post_init__(self) -> None:
        if len(self.options) != len(self.decisions):
            raise ValueError(
                f"{len(self.options)} options for the {len(self.decisions)} decisions "
                f"on {self.backbone.name}"
            )

    def __hash__(self) -> int:
        return hash(self.options)  # the rest is nearly always the same: leave it to eq

    def __str__(self) -> str:
        return " ".join(f"{name}={option}" for name, option in self.by_name.items())

    @property
    def by_name(self) -> dict[str, str]:
        """The option of each decision by the decision's name."""
        return {d.name: option for d, option in zip(self.decisions, self.options, strict=True)}

    @cached_property
    def is_plain(self) -> bool:
        """Whether it is the network as the backbone's function makes it."""
        return self.options == plain_options(self.backbone, self.decisions)

    @cached_property
    def variant(self) -> Backbone:
        """The backbone with the arguments that the options give it."""
        changed: dict[str, Any] = {}
        for decision, option in zip(self.decisions, self.options, strict=True):
            changed |= decision.arguments(option)
        return self.backbone.with_arguments(changed) if changed else self.backbone

    @cached_property
    def edits(self) -> tuple[Edit, ...]:
        """What is changed in the built network of `variant`, in the order of the decisions."""
        variant = self.variant
        pairs = zip(self.decisions, self.options, strict=True)
        return kept(edit for d, option in pairs for edit in d.edits(option, variant))

    @classmethod
    def plain(
        cls,
        backbone: Backbone,
        decisions: Sequence[Decision] | None = None,
        identity_start: bool = True,
    ) -> "Architecture":
        """The backbone as it is; without `decisions`, one for the attention of each stage."""
        decided = stage_decisions(backbone) if decisions is None else tuple(decisions)
        return cls(backbone, decided, plain_options(backbone, decided), identity_start)

    @classmethod
    def read(
        cls,
        backbone: Backbone,
        decisions: Sequence[Decision],
        options: Mapping[str, str] | Sequence[str],
        identity_start: bool = True,
    ) -> "Architecture":
        """Reads options as text, by the decision's name or in the order of the decisions.

        Raises:
            InputError: a text is no option, a decision is missing or unknown; the key is the
                decision's name.
        """
        given = one_each(decisions, options)
        spelled = []
        for decision, text in zip(decisions, given, strict=True):
            try:
                spelled.append(decision.read(text))
            except InputError as error:
                raise error.inside(key=decision.name) from error
        return cls(backbone, tuple(decisions), tuple(spelled), identity_start)


def stage_decisions(backbone: Backbone) -> tuple[Decision, ...]:
    """A decision for the attention of each stage: all that runs of format 1 knew."""
    return tuple(Attention(stage) for stage in backbone.stage_names)


@lru_cache(maxsize=256)
def plain_options(backbone: Backbone, decisions: tuple[Decision, ...]) -> tuple[str, ...]:
    """The option of each decision that changes nothing."""
    return tuple(decision.plain(backbone) for decision in decisions)


def one_each(
    decisions: Sequence[Decision], given: Mapping[str, str] | Sequence[str]
) -> tuple[str, ...]:
    """What is given by name or in order, in the order of the decisions.

    Raises:
        InputError: a decision is missing or unknown, or there is not one entry for each.
    """
    names = [decision.name for decision in decisions]
    if isinstance(given, Mapping):
        if set(given) != set(names):
            raise InputError(
                f"options are given for {', '.join(map(str, given)) or 'nothing'}; the decisions "
                f"are {', '.join(names)}."
            )
        return tuple(str(given[name]) for name in names)
    if isinstance(given, str) or len(given) != len(names):
        shown = given if isinstance(given, str) else ", ".join(map(str, given))
        raise InputError(f"one option is needed for each of {', '.join(names)}, not '{shown}'.")
    return tuple(map(str, given))
