"""Confirmation: what training the front again with new seeds says about the winner."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from attnas.search_space import InputError

from . import folder
from .statistics import SeedDifference, seed_differences, unpack

VERSION = 1
CONFIRMATION_FILE = "confirm.json"


@dataclass(frozen=True)
class ConfirmedScore:
    """One training, scored on the test split: `correct` has one bit per image (packbits)."""

    seed: int
    accuracy: float  # from 0 to 1
    correct: bytes


@dataclass(frozen=True)
class Confirmed:
    """An architecture trained with new seeds; `choices` is stage -> choice as text.

    `trial` is the number in the run; None for a plain backbone that is no trial of it.
    """

    trial: int | None
    choices: Mapping[str, str]
    scores: tuple[ConfirmedScore, ...]

    def __str__(self) -> str:
        return " ".join(f"{stage}={choice}" for stage, choice in self.choices.items())

    @property
    def is_plain(self) -> bool:
        return all(choice == "none" for choice in self.choices.values())

    @property
    def accuracy(self) -> float:
        """The mean over the seeds."""
        return sum(score.accuracy for score in self.scores) / len(self.scores)


@dataclass(frozen=True)
class Confirmation:
    """The plain backbone and the front, each trained with the same new seeds.

    `winner` is the trial that the search recommends, chosen before any of these trainings:
    to pick the best of the new means would be as lucky a choice as the search's own, and
    its interval would promise too much. None if the search recommends the plain backbone.
    `front` holds the other architectures, never the plain one; `images` are the test images.

    Raises ValueError where that does not hold.
    """

    plain: Confirmed
    front: tuple[Confirmed, ...]
    winner: int | None
    epochs: int
    images: int

    def __post_init__(self) -> None:
        seeds = [score.seed for score in self.plain.scores]
        if len(set(seeds)) != len(seeds) or len(seeds) < 2:
            raise ValueError(f"a confirmation needs at least two different seeds, not {seeds}")
        for entry in (self.plain, *self.front):
            if [score.seed for score in entry.scores] != seeds:
                raise ValueError(f"trial {entry.trial} was not trained with the seeds {seeds}")
            for score in entry.scores:
                right = unpack(score.correct, self.images).mean()
                if abs(score.accuracy - right) > 1e-6:
                    raise ValueError(
                        f"trial {entry.trial}, seed {score.seed}: accuracy {score.accuracy} "
                        f"does not fit its bits ({right})"
                    )
        if not self.plain.is_plain or any(entry.is_plain for entry in self.front):
            raise ValueError("the plain backbone is to be given as `plain`, and only there")
        if self.winner is not None and self.winner not in {entry.trial for entry in self.front}:
            raise ValueError(f"the winner, trial {self.winner}, is not among the confirmed")

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(score.seed for score in self.plain.scores)

    @cached_property
    def differences(self) -> tuple[SeedDifference, ...]:
        """Each architecture of `front` against the plain backbone, in the same order."""
        packed = [[score.correct for score in entry.scores] for entry in self.front]
        plain = [score.correct for score in self.plain.scores]
        return tuple(seed_differences(plain, packed, self.images))

    @property
    def gain_is_real(self) -> bool:
        """Whether the winner's interval lies above the plain backbone."""
        pairs = zip(self.front, self.differences, strict=True)
        above = [entry.trial for entry, difference in pairs if difference.interval[0] > 0]
        return self.winner is not None and self.winner in above

    def verdict(self) -> str:
        """One sentence: whether the winner's gain over the plain backbone is real."""
        found = {e.trial: (e, d) for e, d in zip(self.front, self.differences, strict=True)}
        if self.winner is None:
            return (
                "No attention is best: the search itself recommends the plain backbone"
                f"{_others_above(found.values())}."
            )
        entry, difference = found[self.winner]
        low, high = difference.interval
        head = (
            f"Trial {entry.trial} ({entry}) {_relation(difference)} "
            f"(95 % interval {100 * low:.2f} to {100 * high:.2f}, {difference.seeds} seeds, "
            f"{difference.images:,} test images)"
        )
        if difference.within_noise:
            return f"{head}: within noise; {_what_would_tell(difference)}."
        if low > 0:
            return f"{head}: the gain is real."
        rest = [pair for trial, pair in found.items() if trial != self.winner]
        others = _others_above(rest)
        return f"{head}: {'this choice was luck' if others else 'no attention is best'}{others}."

    def summary(self) -> dict[str, Any]:
        """The verdict and the figures behind it, in plain types with these keys.

        `verdict`, `winner` (trial number or null), `seeds`, `epochs`, `test_images`,
        `plain_accuracy`, and `front`: for each architecture `trial`, `choices`, `accuracy`
        (mean), `accuracies` (per seed), `difference`, `difference_low`, `difference_high`
        (95 %), `within_noise`. Accuracies and differences are from 0 to 1.
        """
        return {
            "verdict": self.verdict(),
            "winner": self.winner,
            "seeds": list(self.seeds),
            "epochs": self.epochs,
            "test_images": self.images,
            "plain_accuracy": self.plain.accuracy,
            "front": [
                {
                    "trial": entry.trial,
                    "choices": dict(entry.choices),
                    "accuracy": entry.accuracy,
                    "accuracies": [score.accuracy for score in entry.scores],
                    "difference": difference.difference,
                    "difference_low": difference.interval[0],
                    "difference_high": difference.interval[1],
                    "within_noise": difference.within_noise,
                }
                for entry, difference in zip(self.front, self.differences, strict=True)
            ],
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain types for JSON, from which `from_dict` makes an equal confirmation."""
        return {
            "version": VERSION,
            "winner": self.winner,
            "epochs": self.epochs,
            "test_images": self.images,
            "plain": _entry_to_dict(self.plain),
            "front": [_entry_to_dict(entry) for entry in self.front],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Confirmation":
        """What `to_dict` wrote.

        Raises:
            InputError: it has another version, or is not of that form.
        """
        try:
            if content["version"] != VERSION:
                raise InputError(
                    f"the confirmation has version {content['version']}, this attnas reads "
                    f"version {VERSION}. Run `attnas confirm` again.",
                    key="version",
                )
            return cls(
                plain=_entry_from_dict(content["plain"]),
                front=tuple(_entry_from_dict(entry) for entry in content["front"]),
                winner=content["winner"],
                epochs=int(content["epochs"]),
                images=int(content["test_images"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"is not a confirmation ({type(error).__name__}: {error}). "
                "Run `attnas confirm` again."
            ) from error


def write_confirmation(confirmation: Confirmation, path: str | Path) -> None:
    """Writes `to_dict` as JSON; the file has the old or the new content, whatever happens.

    Raises:
        AttnasError: it cannot be written.
    """
    folder.write(Path(path), folder.to_json(confirmation.to_dict()))


def read_confirmation(path: str | Path) -> Confirmation | None:
    """The confirmation in that file; None if there is no such file.

    Raises:
        InputError: it is not a confirmation that this version reads.
        AttnasError: it cannot be read, or is no JSON.
    """
    if not Path(path).exists():
        return None
    content = folder.read(Path(path))
    try:
        return Confirmation.from_dict(content)
    except InputError as error:
        raise error.inside(file=str(path)) from error


def _relation(difference: SeedDifference) -> str:
    points = 100 * difference.difference
    if difference.interval[0] > 0:
        return f"beats the plain backbone by {points:.2f} points"
    if points == 0:
        return "is level with the plain backbone"
    return f"is {abs(points):.2f} points {'above' if points > 0 else 'below'} the plain backbone"


def _what_would_tell(difference: SeedDifference) -> str:
    if difference.difference == 0:
        return "there is no difference to tell"
    needed = difference.seeds_needed
    if needed is None:
        return "more seeds would not tell, more test images might"
    return f"about {max(needed, difference.seeds + 1)} seeds would be needed to tell"


def _others_above(found: Iterable[tuple[Confirmed, SeedDifference]]) -> str:
    """Who else of the front lies above the plain backbone, as a clause; empty if nobody."""
    above = [entry.trial for entry, difference in found if difference.interval[0] > 0]
    if not above:
        return ""
    trials = f"trial {above[0]}" if len(above) == 1 else f"trials {', '.join(map(str, above))}"
    return f"; {trials} of the front came out above it here, which other seeds have to confirm"


def _entry_to_dict(entry: Confirmed) -> dict[str, Any]:
    return {
        "trial": entry.trial,
        "choices": dict(entry.choices),
        "scores": [
            {
                "seed": score.seed,
                "accuracy": score.accuracy,
                "correct": base64.b64encode(score.correct).decode("ascii"),
            }
            for score in entry.scores
        ],
    }


def _entry_from_dict(content: Mapping[str, Any]) -> Confirmed:
    return Confirmed(
        trial=content["trial"],
        choices={str(stage): str(choice) for stage, choice in content["choices"].items()},
        scores=tuple(
            ConfirmedScore(
                int(score["seed"]),
                float(score["accuracy"]),
                base64.b64decode(score["correct"], validate=True),
            )
            for score in content["scores"]
        ),
    )
