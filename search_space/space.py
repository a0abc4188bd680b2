"""The search space: a backbone and the choices allowed in each of its stages."""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from scipy.special import betaincinv

from .allowed import read_options
from .architecture import Architecture, one_per_stage
from .backbone import Backbone
from .choice import Choice
from .errors import InputError
from .options import can_stand, checked, realisation


class Share(NamedTuple):
    """A share of the space with its 95 % confidence interval."""

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class SearchSpace:
    """One of `allowed[i]` in the i-th stage of the backbone, each choice another network.

    Made by `create`. A stage with one choice is frozen. The architectures are numbered from 0
    to `size - 1`, the last stage varying fastest.

    A network has one spelling in a space: of those that the lists allow, the least ratio and
    the first placement, never one that the user did not allow; in a frozen stage the spelling
    that was given. Two spaces are equal if they have the same architectures in these
    spellings, so equal spaces number, encode and draw alike. Spaces of other lists may spell
    one network differently (at 16 channels `se:r8` is `se:r4`): `architecture` gives a
    space's own spelling of any of them.

    The methods that take an architecture also take one of the same backbone that is not in
    the space, such as the plain backbone where `none` is not allowed, unless they say
    otherwise.
    """

    backbone: Backbone
    allowed: tuple[tuple[Choice, ...], ...]
    identity_start: bool = True

    @classmethod
    def create(
        cls,
        backbone: Backbone,
        *,
        blocks: Sequence[str],
        ratios: Sequence[int],
        placements: Sequence[str],
        stages: Mapping[str, Mapping[str, Any]] | None = None,
        identity_start: bool = True,
    ) -> "SearchSpace":
        """The distinct networks with one of these blocks, ratios and placements per stage.

        A choice stands at every unit of its stage that has the placement. Ratios concern the
        blocks that know one. The order of the lists is of no account.

        Args:
            stages: what differs in single stages: `blocks`, `ratios` or `placements` of their
                own, or the one `choice` ("se:r8@residual") that the stage is frozen to.

        Raises:
            InputError: a name or ratio is unknown, a placement is nowhere, or nothing can
                stand in a stage; the key is relative to the space, such as `blocks[1]`.
        """
        allowed = read_options(
            backbone, blocks=blocks, ratios=ratios, placements=placements, stages=stages or {}
        )
        return cls(backbone, allowed, identity_start)

    @property
    def stage_names(self) -> tuple[str, ...]:
        return self.backbone.stage_names

    def options(self, stage: str) -> tuple[Choice, ...]:
        """The distinct choices of a stage in a fixed order, `none` first where it is allowed."""
        return self.allowed[self.stage_names.index(stage)]

    @cached_property
    def size(self) -> int:
        """The number of distinct architectures, exact."""
        return math.prod(len(options) for options in self.allowed)

    @cached_property
    def plain(self) -> Architecture:
        """The backbone without attention, which need not be in the space."""
        return Architecture.plain(self.backbone, self.identity_start)

    def describe(self) -> str:
        """The size and the choices per stage, a line each."""
        width = max(map(len, self.stage_names))
        lines = [f"{self.size:,} architectures of {self.backbone.name}"]
        for stage, options in zip(self.stage_names, self.allowed, strict=True):
            lines.append(f"  {stage:<{width}}  {len(options):>3}  {', '.join(map(str, options))}")
        return "\n".join(lines)

    def architecture(
        self, choices: Mapping[str, str | Choice] | Sequence[str | Choice]
    ) -> Architecture:
        """The space's architecture that is the same network as these choices.

        Any spelling will do, also with a block, ratio or placement that the space does not list.

        Args:
            choices: by stage name, or in the order of the stages.

        Raises:
            InputError: the choices are not one per stage, or not in the space; the key is the
                stage.
        """
        by_stage = one_per_stage(self.backbone, choices)
        return self._of(
            self._canonical(number, stage, spelled)
            for number, (stage, spelled) in enumerate(by_stage.items())
        )

    def __contains__(self, architecture: object) -> bool:
        return (
            isinstance(architecture, Architecture)
            and self._is_ours(architecture)
            and architecture.identity_start == self.identity_start
            and None not in self.positions(architecture)
        )

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Each architecture with the same probability."""
        drawn = rng.integers(self._sizes).tolist()
        return self._of(options[i] for options, i in zip(self.allowed, drawn, strict=True))

    def enumerate(self) -> Iterator[Architecture]:
        """Every architecture once, in the order of `index`."""
        return map(self._of, product(*self.allowed))

    def index(self, architecture: Architecture) -> int:
        """The number of an architecture of the space.

        Raises:
            ValueError: it is not in the space.
        """
        number = 0
        for position, options in zip(self._inside(architecture), self.allowed, strict=True):
            number = number * len(options) + position
        return number

    def at(self, index: int) -> Architecture:
        """The architecture of that number.

        Raises:
            IndexError: there are not so many, or the number is negative.
        """
        if not 0 <= index < self.size:
            raise IndexError(f"{index} is not between 0 and {self.size - 1}")
        chosen = []
        for options in reversed(self.allowed):
            index, position = divmod(index, len(options))
            chosen.append(options[position])
        return self._of(reversed(chosen))

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """The architectures of the space that differ in exactly one stage."""
        positions = self.positions(architecture)
        outside = [stage for stage, position in enumerate(positions) if position is None]
        stages = range(len(positions)) if not outside else outside if len(outside) == 1 else ()
        return [
            self._with(architecture.choices, stage, option)
            for stage in stages
            for option in self.allowed[stage]
            if option != architecture.choices[stage]
        ]

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """A neighbour, each with the same probability; itself if the space has one only.

        From outside the space: the choices that are not allowed are drawn anew.
        """
        if None in self.positions(architecture):
            return self._repaired(architecture.choices, rng)
        if self.size == 1:
            return architecture
        drawn = int(rng.integers(sum(self._sizes) - len(self._sizes)))
        stage = bisect_right(self._neighbours_before, drawn) - 1
        present = architecture.choices[stage]
        others = [option for option in self.allowed[stage] if option != present]
        other = others[drawn - self._neighbours_before[stage]]
        return self._with(architecture.choices, stage, other)

    def crossover(
        self, mother: Architecture, father: Architecture, rng: np.random.Generator
    ) -> Architecture:
        """Each stage from one of the two with the same probability.

        A choice that is not allowed is drawn anew.
        """
        from_mother = (rng.random(len(self.allowed)) < 0.5).tolist()
        pairs = zip(from_mother, mother.choices, father.choices, strict=True)
        return self._repaired(tuple(m if take else f for take, m, f in pairs), rng)

    def positions(self, architecture: Architecture) -> list[int | None]:
        """The number of each choice among its stage's options; None if it is not allowed.

        Raises:
            ValueError: the architecture has another backbone.
        """
        if not self._is_ours(architecture):
            raise ValueError(f"{architecture} is not of the backbone {self.backbone.name}")
        pairs = zip(self._position, architecture.choices, strict=True)
        return [position.get(choice) for position, choice in pairs]

    @property
    def encoded_size(self) -> int:
        """The length of an encoding: the number of options of all stages together."""
        return sum(self._sizes)

    def encode(self, architecture: Architecture) -> np.ndarray:
        """One-hot over the options of each stage, one stage after the other.

        Returns:
            Zeros and ones, float64, shape (encoded_size,); all zero in a stage whose choice is
            not allowed.
        """
        encoded = np.zeros(self.encoded_size)
        for start, position in zip(self._starts, self.positions(architecture), strict=True):
            if position is not None:
                encoded[start + position] = 1.0
        return encoded

    def decode(self, encoded: np.ndarray) -> Architecture:
        """The architecture with the greatest entry of each stage, the first of equal ones.

        Raises:
            ValueError: the vector has another shape than (encoded_size,), or a NaN.
        """
        if np.shape(encoded) != (self.encoded_size,) or np.isnan(encoded).any():
            raise ValueError(f"not a vector of {self.encoded_size} numbers: {encoded}")
        parts = np.split(np.asarray(encoded), self._starts[1:])
        return self._of(
            options[int(part.argmax())] for options, part in zip(self.allowed, parts, strict=True)
        )

    def distance(self, a: Architecture, b: Architecture) -> int:
        """In how many stages the two differ."""
        return sum(x != y for x, y in zip(a.choices, b.choices, strict=True))

    def sample_feasible(
        self,
        rng: np.random.Generator,
        is_feasible: Callable[[Architecture], bool],
        tries: int,
    ) -> Architecture | None:
        """A feasible architecture, each with the same probability; None if none was found.

        Looks at most at `tries` architectures: at all of them where the space has no more.
        """
        if self.size <= tries:
            drawn = (self.at(int(i)) for i in rng.permutation(self.size))
        else:
            drawn = (self.sample(rng) for _ in range(tries))
        return next((a for a in drawn if is_feasible(a)), None)

    def share_feasible(
        self,
        rng: np.random.Generator,
        is_feasible: Callable[[Architecture], bool],
        samples: int,
    ) -> Share:
        """Which share of the space is feasible, from `samples` uniform draws.

        The interval is that of Clopper and Pearson (1934), which holds at least 95 %. A space
        of at most `samples` architectures is counted instead: the interval has no width.

        Raises:
            ValueError: `samples` is not positive.
        """
        if samples < 1:
            raise ValueError(f"samples is {samples}, but must be positive")
        if self.size <= samples:
            exact = sum(map(is_feasible, self.enumerate())) / self.size
            return Share(exact, exact, exact)
        hits = sum(is_feasible(self.sample(rng)) for _ in range(samples))
        misses = samples - hits
        low = float(betaincinv(hits, misses + 1, 0.025)) if hits else 0.0
        high = float(betaincinv(hits + 1, misses, 0.975)) if misses else 1.0
        return Share(hits / samples, low, high)

    @cached_property
    def _sizes(self) -> tuple[int, ...]:
        return tuple(len(options) for options in self.allowed)

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        """Where the options of each stage begin in an encoding."""
        return tuple(int(n) for n in np.cumsum((0, *self._sizes[:-1])))

    @cached_property
    def _neighbours_before(self) -> tuple[int, ...]:
        """How many neighbours any architecture has in the stages before each stage."""
        return tuple(start - stage for stage, start in enumerate(self._starts))

    @cached_property
    def _position(self) -> tuple[dict[Choice, int], ...]:
        return tuple({c: i for i, c in enumerate(options)} for options in self.allowed)

    @cached_property
    def _realised(self) -> tuple[dict[Any, Choice], ...]:
        """The option of each stage by what it puts into the network."""
        return tuple(
            {realisation(self.backbone, stage, option): option for option in options}
            for stage, options in zip(self.stage_names, self.allowed, strict=True)
        )

    def _canonical(self, number: int, stage: str, spelled: str | Choice) -> Choice:
        """The option of the stage that is the same network as this spelling.

        Raises:
            InputError: there is none.
        """
        try:
            choice = checked(Choice.parse(spelled) if isinstance(spelled, str) else spelled)
        except InputError as error:
            raise error.inside(key=stage) from error
        if choice in self._position[number]:
            return choice
        if can_stand(self.backbone, stage, choice):
            found = self._realised[number].get(realisation(self.backbone, stage, choice))
            if found is not None:
                return found
        options = ", ".join(map(str, self.allowed[number]))
        raise InputError(
            f"the choice '{spelled}' is not in the search space. Allowed: {options}.", key=stage
        )

    def _of(self, choices: Any) -> Architecture:
        return Architecture(self.backbone, tuple(choices), self.identity_start)

    def _with(self, choices: tuple[Choice, ...], stage: int, choice: Choice) -> Architecture:
        return self._of((*choices[:stage], choice, *choices[stage + 1 :]))

    def _repaired(self, choices: tuple[Choice, ...], rng: np.random.Generator) -> Architecture:
        return self._of(
            choice if choice in position else options[int(rng.integers(len(options)))]
            for choice, position, options in zip(choices, self._position, self.allowed, strict=True)
        )

    def _is_ours(self, architecture: Architecture) -> bool:
        return architecture.backbone is self.backbone or architecture.backbone == self.backbone

    def _inside(self, architecture: Architecture) -> list[int]:
        positions = [p for p in self.positions(architecture) if p is not None]
        if len(positions) < len(self.allowed):
            raise ValueError(f"{architecture} is not in the search space")
        return positions
