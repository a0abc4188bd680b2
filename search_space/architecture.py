"""One choice per stage on one backbone: what a search proposes and a run records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .backbone import Backbone
from .choice import NONE, Choice
from .errors import InputError

_T = TypeVar("_T")


@dataclass(frozen=True)
class Architecture:
    """A backbone with one choice per stage, in the order of `backbone.stage_names`.

    It determines the network up to its weights. Spaces make architectures in canonical
    form (`SearchSpace.architecture`), so equal networks of one space are equal values.
    `identity_start` says that blocks compute (nearly) the identity before training.
    """

    backbone: Backbone
    choices: tuple[Choice, ...]
    identity_start: bool = True

    def __post_init__(self) -> None:
        if len(self.choices) != len(self.backbone.stage_names):
            raise ValueError(
                f"{len(self.choices)} choices for the {len(self.backbone.stage_names)} stages "
                f"of {self.backbone.name}"
            )

    def __hash__(self) -> int:
        return hash(self.choices)  # the backbone is nearly always the same: leave it to eq

    def __str__(self) -> str:
        return " ".join(f"{stage}={choice}" for stage, choice in self.by_stage.items())

    @property
    def by_stage(self) -> dict[str, Choice]:
        return dict(zip(self.backbone.stage_names, self.choices, strict=True))

    @property
    def is_plain(self) -> bool:
        return all(choice == NONE for choice in self.choices)

    @classmethod
    def plain(cls, backbone: Backbone, identity_start: bool = True) -> "Architecture":
        """The backbone without attention."""
        return cls(backbone, (NONE,) * len(backbone.stage_names), identity_start)

    @classmethod
    def from_texts(
        cls,
        backbone: Backbone,
        texts: Mapping[str, str] | Sequence[str],
        identity_start: bool = True,
    ) -> "Architecture":
        """Reads choices as text, by stage name or in stage order.

        Raises:
            InputError: a text is not a choice, a stage is missing or unknown.
        """
        choices = []
        for stage, text in one_per_stage(backbone, texts).items():
            try:
                choices.append(Choice.parse(text))
            except InputError as error:
                raise error.inside(key=stage) from error
        return cls(backbone, tuple(choices), identity_start)


def one_per_stage(backbone: Backbone, given: Mapping[str, _T] | Sequence[_T]) -> dict[str, _T]:
    """What is given by stage name or in stage order, by name in the order of the stages.

    Raises:
        InputError: a stage is missing or unknown, or there is not one entry per stage.
    """
    names = backbone.stage_names
    if isinstance(given, Mapping):
        if set(given) != set(names):
            raise InputError(
                f"choices are given for {', '.join(map(str, given)) or 'no stage'}; "
                f"{backbone.name} has the stages {', '.join(names)}."
            )
        return {name: given[name] for name in names}
    if isinstance(given, str) or len(given) != len(names):
        shown = given if isinstance(given, str) else ", ".join(map(str, given))
        raise InputError(
            f"one choice is needed for each of the stages {', '.join(names)}, not '{shown}'."
        )
    return dict(zip(names, given, strict=True))
