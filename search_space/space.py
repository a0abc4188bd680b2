"""The search space: a backbone and the options allowed for each of its decisions."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from attnas.core import InputError

from .architecture import Architecture, one_each
from .backbone import Backbone
from .canonical import CanonicalForms, structural
from .decisions.decision import Decision


class Share(NamedTuple):
    """A share of the space with its 95 % confidence interval."""

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class SearchSpace:
    """One of `options[i]` for the i-th of the decisions on a backbone.

    Made by `create`. A decision with one option is frozen. The architectures are numbered from 0
    to `size - 1`, the last decision varying fastest.

    A network has one spelling in a space: of those that the lists allow, the least ratio and
    the first placement, never one that the user did not allow; in a frozen decision the spelling
    that was given. Two spaces are equal if they have the same architectures in these
    spellings, so equal spaces number, encode and draw alike. Spaces of other lists may spell
    one network differently (at 16 channels `se:r8` is `se:r4`): `architecture` gives a
    space's own spelling of any of them. Where an argument of the factory or the depth of a stage
    is decided, options may do the same beside some of these and not beside others; then too the
    first of them stands for all (`CanonicalForms`).

    The methods that take an architecture also take one of the same backbone that is not in the
    space, such as the plain backbone where `none` is not allowed, unless they say otherwise.
    """

    backbone: Backbone
    decisions: tuple[Decision, ...]
    options: tuple[tuple[str, ...], ...]
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
        per: str = "stage",
        arguments: Mapping[str, Sequence[Any]] | None = None,
        depth: Sequence[int] = (),
        decisions: Mapping[str, Mapping[str, Any]] | None = None,
        identity_start: bool = True,
    ) -> "SearchSpace":
        """The distinct networks that the lists allow.

        A block is placed at every unit of its stage, or at the one that is decided, that has the
        placement. Ratios concern the blocks that know one. The order of the lists of blocks,
        ratios and placements does not matter.

        Args:
            stages: what differs in single stages: `blocks`, `ratios`, `placements`, `per` or
                `depth` of their own, or the one `choice` ("se:r8@residual") that the attention
                of the stage is frozen to.
            per: `stage`, or `unit` for a decision of its own for the attention of every unit.
            arguments: values of arguments of the backbone's function that are decisions too.
            depth: numbers of units of a stage of which the others are skipped.
            decisions: decisions of other kinds by name: `kind`, `options` and the kind's own
                entries.

        Raises:
            InputError: a name or ratio is unknown, a placement is nowhere, nothing can be placed
                in a stage, a value does not fit the function, or there are too many variants of
                the backbone; the key is relative to the space, such as `blocks[1]`.
        """
        from .configured import Lists, read_decisions

        found = read_decisions(
            backbone,
            Lists(blocks, ratios, placements, per, depth),
            stages or {},
            arguments or {},
            decisions or {},
        )
        decided, options = zip(*found, strict=True) if found else ((), ())
        structural(decided, options)  # refuses too many
        return cls(backbone, tuple(decided), tuple(options), identity_start)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the decisions."""
        return tuple(decision.name for decision in self.decisions)

    def options_of(self, name: str) -> tuple[str, ...]:
        """The options of a decision in a fixed order; of attention `none` first."""
        return self.options[self.names.index(name)]

    @cached_property
    def size(self) -> int:
        """The number of distinct architectures, exact."""
        return self._forms.size

    @cached_property
    def plain(self) -> Architecture:
        """The network as the backbone's function makes it, which need not be in the space."""
        return Architecture.plain(self.backbone, self.decisions, self.identity_start)

    @property
    def is_shared(self) -> bool:
        """Whether a supernet can hold it all on one set of weights."""
        pairs = zip(self.decisions, self.options, strict=True)
        return all(d.shares(options, self.backbone) for d, options in pairs)

    def describe(self) -> str:
        """The size and the options of each decision, a line each."""
        width = max(map(len, self.names))
        lines = [f"{self.size:,} architectures of {self.backbone.name}"]
        for name, options in zip(self.names, self.options, strict=True):
            lines.append(f"  {name:<{width}}  {len(options):>3}  {', '.join(options)}")
        return "\n".join(lines)

    def architecture(self, options: Mapping[str, str] | Sequence[str]) -> Architecture:
        """The space's architecture that is the same network as these options make.

        Any spelling will do, also with a block, ratio or placement that the space does not list.

        Args:
            options: by the decision's name, or in the order of the decisions.

        Raises:
            InputError: there is not one option for each decision, or one is not in the space;
                the key is the decision's name.
        """
        given = one_each(self.decisions, options)
        found = [known.get(text) for known, text in zip(self._position, given, strict=True)]
        if None in found:
            spelled = self.read(given)
            # Those first on which it depends what the others do.
            for number in sorted(range(len(found)), key=lambda i: not self.decisions[i].structural):
                if found[number] is None:
                    found[number] = self._alike(number, spelled)
        return self._of(self._forms.of(found))  # type: ignore[arg-type]

    def read(self, options: Mapping[str, str] | Sequence[str]) -> Architecture:
        """An architecture of the space's decisions, which need not be in the space.

        Raises:
            InputError: there is not one option for each decision, or one is none.
        """
        return Architecture.read(self.backbone, self.decisions, options, self.identity_start)

    def __contains__(self, architecture: object) -> bool:
        if not isinstance(architecture, Architecture) or not self._is_ours(architecture):
            return False
        if architecture.identity_start != self.identity_start:
            return False
        positions = [p for p in self.positions(architecture) if p is not None]
        whole = len(positions) == len(self.decisions)
        return whole and (self._forms.is_product or self._forms.of(positions) == tuple(positions))

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Each architecture with the same probability."""
        if self._forms.is_product:
            return self._of(rng.integers(self._sizes).tolist())
        return self._of(self._forms.sample(rng))

    def enumerate(self) -> Iterator[Architecture]:
        """Every architecture once, in the order of `index`."""
        if self._forms.is_product:
            return map(self._of, product(*map(range, self._sizes)))
        return map(self.at, range(self.size))

    def index(self, architecture: Architecture) -> int:
        """The number of an architecture of the space.

        Raises:
            ValueError: it is not in the space.
        """
        if architecture not in self:
            raise ValueError(f"{architecture} is not in the search space")
        return self._forms.index(self.positions(architecture))  # type: ignore[arg-type]

    def at(self, index: int) -> Architecture:
        """The architecture of that number.

        Raises:
            IndexError: there are not so many, or the number is negative.
        """
        if not 0 <= index < self.size:
            raise IndexError(f"{index} is not between 0 and {self.size - 1}")
        return self._of(self._forms.at(index))

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """The architectures of the space that differ in exactly one decision.

        Where an option of another decision does the same beside the new one as another option,
        it may be spelled as that.
        """
        positions = self.positions(architecture)
        outside = [place for place, position in enumerate(positions) if position is None]
        if not outside:
            positions = list(self._forms.of(positions))  # type: ignore[arg-type]
        places = range(len(positions)) if not outside else outside if len(outside) == 1 else ()
        changed = (
            [*positions[:place], number, *positions[place + 1 :]]
            for place in places
            for number in range(self._sizes[place])
            if number != positions[place]
        )
        distinct = dict.fromkeys(self._forms.of(found) for found in changed)  # type: ignore[arg-type]
        distinct.pop(tuple(positions), None)  # type: ignore[arg-type]
        return [self._of(found) for found in distinct]

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """A neighbour, each with the same probability; itself if the space has one only.

        From outside the space: the options that are not allowed are drawn anew.
        """
        positions = self.positions(architecture)
        if None in positions:
            return self._repaired(positions, rng)
        if self.size == 1:
            return architecture
        if not self._forms.is_product:
            around = self.neighbours(architecture)
            return around[int(rng.integers(len(around)))] if around else self.sample(rng)
        drawn = int(rng.integers(sum(self._sizes) - len(self._sizes)))
        place = bisect_right(self._neighbours_before, drawn) - 1
        others = [number for number in range(self._sizes[place]) if number != positions[place]]
        positions[place] = others[drawn - self._neighbours_before[place]]
        return self._of(positions)

    def crossover(
        self, mother: Architecture, father: Architecture, rng: np.random.Generator
    ) -> Architecture:
        """Each option from one of the two with the same probability.

        An option that is not allowed is drawn anew.
        """
        from_mother = (rng.random(len(self.decisions)) < 0.5).tolist()
        pairs = zip(from_mother, self.positions(mother), self.positions(father), strict=True)
        return self._repaired([m if take else f for take, m, f in pairs], rng)

    def positions(self, architecture: Architecture) -> list[int | None]:
        """The number of each option among those of its decision; None if it is not allowed.

        Raises:
            ValueError: the architecture has another backbone or other decisions.
        """
        if not self._is_ours(architecture):
            raise ValueError(f"{architecture} is not of the backbone {self.backbone.name}")
        pairs = zip(self._position, architecture.options, strict=True)
        return [position.get(option) for position, option in pairs]

    @property
    def encoded_size(self) -> int:
        """The length of an encoding: the number of options of all decisions together."""
        return sum(self._sizes)

    def encode(self, architecture: Architecture) -> np.ndarray:
        """One-hot over the options of each decision, one decision after the other.

        Returns:
            Zeros and ones, float64, shape (encoded_size,); all zero in a decision whose option
            is not allowed.
        """
        encoded = np.zeros(self.encoded_size)
        for start, position in zip(self._starts, self.positions(architecture), strict=True):
            if position is not None:
                encoded[start + position] = 1.0
        return encoded

    def decode(self, encoded: np.ndarray) -> Architecture:
        """The architecture with the greatest entry of each decision, the first of equal ones.

        Raises:
            ValueError: the vector has another shape than (encoded_size,), or a NaN.
        """
        if np.shape(encoded) != (self.encoded_size,) or np.isnan(encoded).any():
            raise ValueError(f"not a vector of {self.encoded_size} numbers: {encoded}")
        parts = np.split(np.asarray(encoded), self._starts[1:])
        return self._of(self._forms.of([int(part.argmax()) for part in parts]))

    def distance(self, a: Architecture, b: Architecture) -> int:
        """In how many decisions the two differ."""
        return sum(x != y for x, y in zip(a.options, b.options, strict=True))

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
        from scipy.special import betaincinv

        hits = sum(is_feasible(self.sample(rng)) for _ in range(samples))
        misses = samples - hits
        low = float(betaincinv(hits, misses + 1, 0.025)) if hits else 0.0
        high = float(betaincinv(hits + 1, misses, 0.975)) if misses else 1.0
        return Share(hits / samples, low, high)

    @cached_property
    def _forms(self) -> CanonicalForms:
        return CanonicalForms(self.backbone, self.decisions, self.options)

    @cached_property
    def _sizes(self) -> tuple[int, ...]:
        return tuple(len(options) for options in self.options)

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        """Where the options of each decision begin in an encoding."""
        return tuple(int(n) for n in np.cumsum((0, *self._sizes[:-1])))

    @cached_property
    def _neighbours_before(self) -> tuple[int, ...]:
        """How many neighbours any architecture has in the decisions before each one."""
        return tuple(start - place for place, start in enumerate(self._starts))

    @cached_property
    def _position(self) -> tuple[dict[str, int], ...]:
        return tuple({c: i for i, c in enumerate(options)} for options in self.options)

    def _alike(self, number: int, spelled: Architecture) -> int:
        """The number of the option of a decision that is the same network as this spelling of it.

        Raises:
            InputError: there is none.
        """
        decision, option = self.decisions[number], spelled.options[number]
        options, arguments = self.options[number], decision.arguments(option)
        if option in self._position[number]:
            return self._position[number][option]
        edits = decision.edits(option, spelled.variant)
        if edits or arguments or option == decision.plain(spelled.variant):
            for place, other in enumerate(options):
                same = decision.arguments(other) == arguments
                if same and decision.edits(other, spelled.variant) == edits:
                    return place
        raise InputError(
            f"the option '{option}' is not in the search space. Allowed: {', '.join(options)}.",
            key=decision.name,
        )

    def _of(self, positions: Sequence[int | None]) -> Architecture:
        pairs = zip(self.options, positions, strict=True)
        chosen = tuple(options[i] for options, i in pairs if i is not None)
        return Architecture(self.backbone, self.decisions, chosen, self.identity_start)

    def _repaired(self, positions: Sequence[int | None], rng: np.random.Generator) -> Architecture:
        whole = [
            int(rng.integers(size)) if position is None else position
            for position, size in zip(positions, self._sizes, strict=True)
        ]
        return self._of(self._forms.of(whole))

    def _is_ours(self, architecture: Architecture) -> bool:
        return (architecture.backbone, architecture.decisions) == (self.backbone, self.decisions)
