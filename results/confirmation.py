"""Confirmation: what training the front again with new seeds says about the winner."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnas.core import InputError, ItemScores, Metric, described, read, write_checked

from .display import Shown
from .seeds import SeedDifference, seed_difference
from .statistics import LEVEL

if TYPE_CHECKING:
    from rich.console import RenderableType

VERSION = 2
CONFIRMATION_FILE = "confirm.json"
_KEPT = 0.4  # of what a verdict may err by, for the looks after this one


@dataclass(frozen=True)
class ConfirmedScore:
    """One training, scored on the test split."""

    seed: int
    scores: ItemScores

    @property
    def value(self) -> float:
        return self.scores.mean


@dataclass(frozen=True)
class Confirmed:
    """An architecture trained with new seeds; `options` by the decision's name, as text.

    `trial` is the number in the run; None for a plain backbone that is no trial of it.
    """

    trial: int | None
    options: Mapping[str, str]
    scores: tuple[ConfirmedScore, ...]

    def __str__(self) -> str:
        return " ".join(f"{name}={option}" for name, option in self.options.items())

    @property
    def value(self) -> float:
        """The mean over the seeds."""
        return sum(score.value for score in self.scores) / len(self.scores)


@dataclass(frozen=True, repr=False)
class Confirmation(Shown):
    """The plain backbone and the front, each trained with the same new seeds.

    `winner` is the trial that the search recommends, chosen before any of these trainings:
    to pick the best of the new means would be as lucky a choice as the search's own, and
    its interval would promise too much. None if the search recommends the plain backbone.
    `front` holds the other architectures, never the plain one, those of `baselines` (name ->
    trial) among them. All are scored by one metric, on the same items of the test split.

    `looks` are the numbers of seeds at which the same trainings were looked at, these included.
    Who adds seeds until the answer pleases finds a gain in the end, so the looks share the 5 %
    that a verdict may err by: 3 %, then 1.2 %, 0.48 %, ... (alpha spending, Lan and DeMets
    1983, Biometrika 70, 659-663). `start` names the weights that all trainings began with, if
    they were no fresh ones; seeds vary the data order and the new blocks alone then.

    Raises ValueError where that does not hold.
    """

    plain: Confirmed
    front: tuple[Confirmed, ...]
    winner: int | None
    epochs: int
    baselines: Mapping[str, int] = field(default_factory=dict)
    looks: tuple[int, ...] = ()
    start: str = ""

    def _shown(self) -> "RenderableType":
        from rich.console import Group

        from .tables import confirmation_table

        return Group(confirmation_table(self), self.verdict())

    def __post_init__(self) -> None:
        seeds = [score.seed for score in self.plain.scores]
        if len(set(seeds)) != len(seeds) or len(seeds) < 2:
            raise ValueError(f"a confirmation needs at least two different seeds, not {seeds}")
        for entry in (self.plain, *self.front):
            if [score.seed for score in entry.scores] != seeds:
                raise ValueError(f"trial {entry.trial} was not trained with the seeds {seeds}")
        kinds = {
            (s.scores.metric, s.scores.items)
            for entry in (self.plain, *self.front)
            for s in entry.scores
        }
        if len(kinds) > 1:
            raise ValueError("the trainings were scored by other metrics, or on other items")
        if any(entry.options == self.plain.options for entry in self.front):
            raise ValueError("the plain backbone is to be given as `plain`, and only there")
        if self.winner is not None and self.winner not in {entry.trial for entry in self.front}:
            raise ValueError(f"the winner, trial {self.winner}, is not among the confirmed")
        strange = set(self.baselines.values()) - {entry.trial for entry in self.front}
        if strange:
            raise ValueError(f"the baselines {sorted(strange)} are not among the confirmed")
        if self.looks and len(seeds) not in self.looks:
            raise ValueError(f"a look at {len(seeds)} seeds is not among those at {self.looks}")

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(score.seed for score in self.plain.scores)

    @property
    def items(self) -> int:
        """Of the test split."""
        return self.plain.scores[0].scores.items

    @property
    def metric(self) -> Metric:
        return described(self.plain.scores[0].scores.metric)

    @property
    def level(self) -> float:
        """What this look may err by."""
        return LEVEL * (1 - _KEPT) * _KEPT ** max(0, len(self.looks) - 1)

    @property
    def next_level(self) -> float:
        """What a look at more seeds may err by."""
        return self.level * _KEPT

    @cached_property
    def differences(self) -> tuple[SeedDifference, ...]:
        """Each architecture of `front` against the plain backbone, in the same order.

        The winner's interval holds by itself; those of the others hold together (Bonferroni), as
        the best of them is looked for.
        """
        others = sum(entry.trial != self.winner for entry in self.front)
        return tuple(
            self._difference(entry, self.plain, 1 if entry.trial == self.winner else others)
            for entry in self.front
        )

    @cached_property
    def against_baselines(self) -> dict[str, SeedDifference]:
        """The winner less each baseline, by name; nothing if it is one itself.

        To lie above every baseline each interval must: no correction is needed for that.
        """
        winner = self._entry(self.winner)
        if winner is None or self.winner in self.baselines.values():
            return {}
        found = {name: self._entry(number) for name, number in self.baselines.items()}
        return {name: self._difference(winner, entry, 1) for name, entry in found.items() if entry}

    def _entry(self, number: int | None) -> Confirmed | None:
        return next((entry for entry in self.front if entry.trial == number), None)

    def _difference(self, a: Confirmed, b: Confirmed, comparisons: int) -> SeedDifference:
        mine, theirs = ([score.scores for score in entry.scores] for entry in (a, b))
        return seed_difference(mine, theirs, self.level / comparisons)

    @property
    def gain_is_real(self) -> bool:
        """Whether the winner's interval lies beyond the plain backbone, on the better side."""
        pairs = zip(self.front, self.differences, strict=True)
        better = [entry.trial for entry, difference in pairs if self.is_better(difference)]
        return self.winner is not None and self.winner in better

    def is_better(self, difference: SeedDifference) -> bool:
        """Whether the whole interval is on the better side of the plain backbone."""
        low, high = difference.interval
        return low > 0 if self.metric.better == "max" else high < 0

    def verdict(self) -> str:
        """Whether the winner's gain over the plain backbone is real, and over the baselines."""
        from .verdict import verdict

        return verdict(self)

    def summary(self) -> dict[str, Any]:
        """The verdict and the figures behind it, in plain types with these keys.

        `verdict`, `winner` (trial number or null), `seeds`, `epochs`, `metric`, `test_items`,
        `plain` (the plain backbone's mean), `looks` (numbers of seeds so far), `start`, and
        `front`: for each architecture `trial`, `baseline` (its name or null), `architecture`
        (option by decision), `value` (mean), `values` (per seed), `difference`,
        `difference_low`, `difference_high` (95 %), `within_noise`; and `baselines`: for each the
        winner's difference to it with `baseline` and the same keys, nothing if the winner is one.
        """
        names = {number: name for name, number in self.baselines.items()}
        return {
            "verdict": self.verdict(),
            "winner": self.winner,
            "seeds": list(self.seeds),
            "epochs": self.epochs,
            "metric": self.metric.name,
            "test_items": self.items,
            "plain": self.plain.value,
            "looks": list(self.looks),
            "start": self.start or None,
            "front": [
                {
                    "trial": entry.trial,
                    "baseline": names.get(entry.trial) if entry.trial is not None else None,
                    "architecture": dict(entry.options),
                    "value": entry.value,
                    "values": [score.value for score in entry.scores],
                    **_figures(difference),
                }
                for entry, difference in zip(self.front, self.differences, strict=True)
            ],
            "baselines": [
                {"baseline": name, **_figures(difference)}
                for name, difference in self.against_baselines.items()
            ],
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain types for JSON, from which `from_dict` makes an equal confirmation."""
        return {
            "version": VERSION,
            "winner": self.winner,
            "epochs": self.epochs,
            "baselines": dict(self.baselines),
            "looks": list(self.looks),
            "start": self.start,
            "plain": _entry_to_dict(self.plain),
            "front": [_entry_to_dict(entry) for entry in self.front],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Confirmation":
        """What `to_dict` wrote, also in version 1, which knew accuracies alone.

        Raises:
            InputError: it has another version, or is not of that form.
        """
        try:
            if content["version"] not in (1, VERSION):
                raise InputError(
                    f"the confirmation has version {content['version']}, this attnas reads "
                    f"versions up to {VERSION}. Run `attnas confirm` again.",
                    key="version",
                )
            items = content.get("test_images")
            return cls(
                plain=_entry_from_dict(content["plain"], items),
                front=tuple(_entry_from_dict(entry, items) for entry in content["front"]),
                winner=content["winner"],
                epochs=int(content["epochs"]),
                baselines={str(n): int(t) for n, t in content.get("baselines", {}).items()},
                looks=tuple(map(int, content.get("looks", ()))),
                start=str(content.get("start", "")),
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
    write_checked(Path(path), confirmation.to_dict())


def read_confirmation(path: str | Path) -> Confirmation | None:
    """The confirmation in that file; None if there is no such file.

    Raises:
        InputError: it is not a confirmation that this version reads.
        AttnasError: it cannot be read, or is no JSON.
    """
    if not Path(path).exists():
        return None
    content = read(Path(path), "Restore a copy, or run `attnas confirm` again.")
    try:
        return Confirmation.from_dict(content)
    except InputError as error:
        raise error.inside(file=str(path)) from error


def _figures(difference: SeedDifference) -> dict[str, Any]:
    low, high = difference.interval
    return {
        "difference": difference.difference,
        "difference_low": low,
        "difference_high": high,
        "within_noise": difference.within_noise,
    }


def _entry_to_dict(entry: Confirmed) -> dict[str, Any]:
    return {
        "trial": entry.trial,
        "architecture": dict(entry.options),
        "scores": [
            {"seed": score.seed, "scores": score.scores.to_dict()} for score in entry.scores
        ],
    }


def _entry_from_dict(content: Mapping[str, Any], items: int | None) -> Confirmed:
    options = content["architecture"] if "architecture" in content else content["choices"]
    return Confirmed(
        trial=content["trial"],
        options={str(name): str(option) for name, option in options.items()},
        scores=tuple(
            ConfirmedScore(int(score["seed"]), _scores(score, items)) for score in content["scores"]
        ),
    )


def _scores(content: Mapping[str, Any], items: int | None) -> ItemScores:
    """The scores of one training; version 1 had the bits of right and wrong."""
    if "scores" in content:
        return ItemScores.from_dict(content["scores"])
    plain = {"metric": "accuracy", "items": items, "kind": "bits", "content": content["correct"]}
    found = ItemScores.from_dict(plain)
    if abs(found.mean - float(content["accuracy"])) > 1e-6:
        raise ValueError(f"accuracy {content['accuracy']} does not fit its bits ({found.mean})")
    return found
