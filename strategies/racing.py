"""Racing: contenders are trained with further seeds, where that tells more than a new candidate."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attnas.core import History, Objective, Proposal, Trial, generator, merged, seed_noise

from .blas import one_thread
from .inside import Around, make_inside
from .protocol import Strategy
from .ranking import losses
from .registry import check_settings, register_strategy, setting
from .surrogates import Evidence, Loss
from .true_means import TrueMeans

if TYPE_CHECKING:
    from attnas.search_space import Architecture, SearchSpace

NAME = "racing"
STRIDE = 1000  # between the seeds, so that they are none that a confirmation or another run takes
BETA = 0.5  # the probability that the leader is played rather than its challenger
DRAWS = 100  # until another than the leader is the best of one


@register_strategy("racing")
@dataclass(frozen=True)
class Racing:
    """Further seeds of contenders, by a top-two algorithm, around any other strategy.

    Every proposal is a choice between arms: each architecture trained for these epochs, to be
    trained with one more seed, and what the strategy inside proposes next. The leader is the arm
    of the best mean, which is what a run recommends. The challenger is the best arm in a draw of
    the true means from their posterior (`TrueMeans`), drawn anew until it is not the leader. Each
    is played with probability 1/2. Objectives that training tells take turns.

    An architecture gets at most `seeds` trainings, always with the same seeds in the same order:
    the run's own, and it plus 1000, 2000, ... Where the arm played had all of them, and before
    `initial` trainings, the strategy inside proposes. It sees each architecture once, with the
    means of its trainings.

    Source: Jourdan et al. 2022, "Top two algorithms revisited", NeurIPS (an empirical leader, a
    challenger by Thompson sampling); Russo 2016, "Simple Bayesian algorithms for best arm
    identification", COLT.
    """

    space: "SearchSpace"
    objectives: tuple[Objective, ...]
    epochs: int
    seed: int
    around: Around = field(
        default="model", metadata={"meaning": "the strategy inside: its name, or with settings"}
    )
    seeds: int = setting(3, "trainings of an architecture, at most", low=2, high=STRIDE)
    initial: int = setting(10, "trainings before the first repeat", low=2)

    repeats = True  # proposes further trainings of an architecture, with other seeds

    def __post_init__(self) -> None:
        check_settings(self)
        _ = self.inner  # what is wrong with it is told now

    @cached_property
    def inner(self) -> Strategy:
        """The strategy that proposes new architectures."""
        return make_inside(
            NAME,
            self.around,
            space=self.space,
            objectives=self.objectives,
            epochs=self.epochs,
            seed=self.seed,
            without=("halving",),
        )

    def propose(self, history: History) -> Proposal | None:
        seen = merged(history.finished)
        new = self.inner.propose(_seen_inside(seen, history))
        begun = self._begun(history)
        contenders = self._contenders(seen)
        if sum(map(len, begun.values())) < self.initial or len(contenders) < 2:
            return new
        with one_thread():
            played = self._played(contenders, new, history)
        left = [] if played is None else self._left(begun.get(played, set()))
        return Proposal(played, self.epochs, seed=left[0]) if played and left else new

    def _begun(self, history: History) -> "dict[Architecture, set[int]]":
        """The seeds that each architecture was trained with for these epochs, or is."""
        begun: dict[Architecture, set[int]] = {}
        items: tuple[Trial | Proposal, ...] = (*history.finished, *history.running)
        for item in items:
            if item.epochs == self.epochs:
                seed = self.seed if item.seed is None else item.seed
                begun.setdefault(item.architecture, set()).add(seed)
        return begun

    def _contenders(self, seen: Sequence[Trial]) -> list[Trial]:
        """The feasible trials of the space for these epochs with a value of every objective."""
        trained = [t for t in seen if t.epochs == self.epochs and t.feasible]
        known = [bool(row.all()) for row in np.isfinite(losses(trained, self.objectives))]
        pairs = zip(trained, known, strict=True)
        return [trial for trial, whole in pairs if whole and trial.architecture in self.space]

    def _left(self, used: set[int]) -> list[int]:
        """The seeds that an architecture may still get, beside those used."""
        if len(used) >= self.seeds:  # also where a run that it began from had others
            return []
        return [s for i in range(self.seeds) if (s := self.seed + STRIDE * i) not in used]

    def _played(
        self, contenders: Sequence[Trial], new: Proposal | None, history: History
    ) -> "Architecture | None":
        """The leader or its challenger; None if that is what the strategy inside proposes."""
        rng = generator(self.seed, history)
        trained = [loss for o in self.objectives if not (loss := Loss.by(o)).is_cheap]
        if not trained:
            return None
        turn = len(history.finished) + len(history.running)
        loss = trained[turn % len(trained)]
        leader = int(np.argmin(loss.of(contenders)))
        if rng.random() < BETA:
            return contenders[leader].architecture
        belief = self._belief(loss, contenders, new, history)
        for _ in range(DRAWS):
            challenger = int(np.argmin(belief.draw(rng)))
            if challenger != leader:
                new_one = challenger == len(contenders)
                return None if new_one else contenders[challenger].architecture
        return None

    def _belief(
        self, loss: Loss, contenders: Sequence[Trial], new: Proposal | None, history: History
    ) -> TrueMeans:
        """Of the contenders, and of what is new as the last."""
        codes = Evidence(self.space, (), (), (), ()).codes
        asked = codes([] if new is None else [new.architecture])
        trainings = np.array([len(trial.seeds) for trial in contenders], dtype=float)
        noise = seed_noise(history.finished, loss.metric, self.epochs)
        known = codes(trial.architecture for trial in contenders)
        return TrueMeans.of(known, loss.of(contenders), trainings, noise, asked)


def _seen_inside(seen: Sequence[Trial], history: History) -> History:
    """The history with each architecture once: repeats that failed or are in flight are not."""
    scored = {(t.architecture, t.epochs) for t in seen if t.state == "complete"}
    finished = [
        t for t in seen if t.state == "complete" or (t.architecture, t.epochs) not in scored
    ]
    running = [p for p in history.running if (p.architecture, p.epochs) not in scored]
    return History(tuple(finished), tuple(running), history.next_number)
