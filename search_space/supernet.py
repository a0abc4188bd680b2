"""The supernet: every architecture of a space as a path through one network."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from attnas.core import InputError

from .architecture import Architecture
from .attention_option import AttentionOption
from .blocks import block
from .build import seeded
from .decisions.attention import Attention
from .insertion import insert
from .placing import block_at
from .sharing import Borrower, widest
from .space import SearchSpace
from .stages import Mode
from .tracing import Site

Place = tuple[Mode, str]
Weights = Sequence[Tensor | Sequence[Tensor | float]]
"""Per decision, in the order of `space.options`: one weight an option, (options,) or scalars."""


class Switch(nn.Module):
    """Holds, at a site, the blocks that can be chosen for it; inactive ones cost nothing.

    `active` are pairs (block's number, weight): none gives what the plain network has there, p(x),
    which is x but where blocks replace a module; one without a weight is that block alone; else
    (1 - sum w_i) p(x) + sum w_i block_i(x), that is p(x) + sum w_i (block_i(x) - p(x)).
    """

    def __init__(self, plain: nn.Module | None = None) -> None:
        super().__init__()
        self.plain = nn.Identity() if plain is None else plain
        self.blocks = nn.ModuleList()
        self.active: list[tuple[int, Tensor | float | None]] = []

    def forward(self, x: Tensor) -> Tensor:
        if not self.active:
            return self.plain(x)
        number, weight = self.active[0]
        if weight is None:
            return self.blocks[number](x)
        y = self.plain(x) * (1 - sum(weight for _, weight in self.active))  # type: ignore[misc]
        for number, weight in self.active:
            y = y + weight * self.blocks[number](x)
        return y


class _Placed(NamedTuple):
    """An option at one site: the switch there and the number of the block in it."""

    chosen: AttentionOption
    site: Site
    switch: Switch
    number: int


class Supernet(nn.Module):
    """A backbone with a switch at every site of the space; `select` or `mix`, then call it.

    The backbone's initial weights are those of `build(space.plain, seed=seed)`; its batch
    norms are shared by all paths. At first the plain backbone is selected.

    What is shared: within one unit, all ratios of a block and all of its placements with
    equally many channels have one set of parameters, as wide as the widest of them (memory
    grows with the blocks, not with ratios x placements). In place of a module a block has a set
    of its own, as has one whose parameters depend on the map at places of different maps. A
    path holds at most one block a unit, so no path uses a parameter twice. Buffers, such as the
    statistics of a batch norm in a block, are each site's and width's own. Classes that do not
    say `sliceable = True` have parameters of their own for every width.

    With one ratio and one placement a decision, every path starts with the weights of
    `build(architecture, seed=seed)`; else the widest block's first placement decides.

    `state_dict` holds all weights and buffers, not the selection.
    """

    def __init__(self, space: SearchSpace, *, seed: int) -> None:
        """Raises InputError: the space decides what one set of weights cannot hold."""
        super().__init__()
        check_shared(space)
        self.space, self.seed = space, seed
        with seeded(seed, ""):
            network = space.backbone.network()
        # In tuples, as these are no further submodules:
        self._plain = {
            path: (module,) for path, module in network.named_modules(remove_duplicate=False)
        }
        self.shared = nn.ModuleList()
        self._switches: dict[Place, Switch] = {}
        self._placed: dict[tuple[int, str], list[_Placed]] = {}
        for number in range(len(space.decisions)):
            self._fill(number)
        insert(network, ((mode, path, made) for (mode, path), made in self._switches.items()))
        self.network = network
        self.training = network.training

    def forward(self, x: Tensor) -> Tensor:
        """The scores of the selected path, or of the mixture: (N, C, H, W) -> (N, classes)."""
        return self.network(x)

    def select(self, architecture: Architecture) -> None:
        """Makes an architecture's path the active one; no other block is run or gets a gradient.

        Raises:
            InputError: the architecture is not in the space (`none` is allowed anywhere).
            ValueError: it has another backbone or other decisions.
        """
        chosen = self._placed_of(architecture)
        self._clear()
        for placed in chosen:
            placed.switch.active = [(placed.number, None)]

    def mix(self, weights: Weights | None) -> None:
        """Makes a mixture active: at each site p(x) + sum_i w_i (block_i(x) - p(x)).

        p(x) is what the plain backbone has there: x, or the module that blocks replace. The sum
        goes over the options of the decision with a block at the site. The output is
        differentiable in the weights; one-hot weights give what `select` gives. An option
        whose weight is exactly 0 and needs no gradient is not run. None, as zeros: the plain
        backbone.

        Args:
            weights: per decision one weight an option, in the order of `space.options`:
                a tensor (options,), or a sequence of scalars of which only some need a
                gradient.

        Raises:
            ValueError: there is not one weight an option.
        """
        sizes = [len(options) for options in self.space.options]
        if weights is None:
            weights = [[0.0] * size for size in sizes]
        given = [len(of_decision) for of_decision in weights]
        if given != sizes:
            raise ValueError(f"the decisions have {sizes} options, but {given} weights are given")
        self._clear()
        for (number, option), everywhere in self._placed.items():
            weight = weights[number][self.space.options[number].index(option)]
            if _counts(weight):
                for placed in everywhere:
                    placed.switch.active.append((placed.number, weight))

    def parts(self) -> Iterator[tuple[nn.Parameter, tuple[int, ...]]]:
        """The active blocks' parameters, each with the shape of the leading part in use."""
        for switch in self._switches.values():
            for number, _ in switch.active:
                yield from switch.blocks[number].parts()  # type: ignore[operator]

    def subnet(self, architecture: Architecture) -> nn.Module:
        """The stand-alone network of an architecture, with copies of this path's weights.

        Modules and names are those of `build(architecture)`, on this network's device and
        in its mode; it computes what the selected path does.

        Raises:
            InputError, ValueError: as `select`.
        """
        everywhere = self._placed_of(architecture)
        with seeded(self.seed, ""):
            network = self.space.backbone.network()
            network.load_state_dict(self.backbone_state())
            inserted = [(p.site.mode, p.site.path, self._alone(p)) for p in everywhere]
        insert(network, inserted)
        place = next((p.device for p in self.parameters()), torch.device("cpu"))
        return network.to(place).train(self.training)

    def backbone_state(self) -> dict[str, Tensor]:
        """The plain backbone's state by the names of the plain network; not copies."""
        found: dict[str, Tensor] = {}
        for path, (module,) in self._plain.items():
            module._save_to_state_dict(found, f"{path}." if path else "", keep_vars=False)
        return found

    def load_backbone(self, weights: Mapping[str, Tensor]) -> None:
        """Copies a plain backbone's state into the backbone that all paths share.

        Raises:
            RuntimeError: the names or shapes are not the plain network's.
        """
        with seeded(self.seed, ""):
            self.space.backbone.network().load_state_dict(weights)
        for name, tensor in self.backbone_state().items():
            tensor.copy_(weights[name])

    def _fill(self, number: int) -> None:
        """Makes the switches of one decision's sites, with the blocks and what these share."""
        decision = self.space.decisions[number]
        assert isinstance(decision, Attention)
        alike: dict[_Alike, list[_Variant]] = {}
        for option in self.space.options[number]:
            for unit, site in decision.placed(option, self.space.backbone):
                variant = self._variant(AttentionOption.parse(option), site)
                alike.setdefault(_alike(unit, variant), []).append(variant)
        for variants in alike.values():
            lender = copy.deepcopy(widest([variant.block for variant in variants]))
            self.shared.append(lender)
            numbers: dict[tuple[Place, tuple[int, ...]], int] = {}
            for variant in variants:
                place = (variant.site.mode, variant.site.path)
                if place not in self._switches:
                    plain = self._plain[variant.site.path][0]
                    replaced = variant.site.mode == "replace"
                    self._switches[place] = Switch(plain if replaced else None)
                switch = self._switches[place]
                if (place, variant.widths) not in numbers:
                    numbers[place, variant.widths] = len(switch.blocks)
                    switch.blocks.append(Borrower(variant.block, lender))
                held = _Placed(variant.chosen, variant.site, switch, numbers[place, variant.widths])
                self._placed.setdefault((number, str(variant.chosen)), []).append(held)

    def _variant(self, chosen: AttentionOption, site: Site) -> "_Variant":
        """A block as `build` makes it."""
        with seeded(self.seed, site.path):
            made = block_at(chosen, site, identity_start=self.space.identity_start)
        return _Variant(chosen, site, made, block(chosen.block).widths(site.channels, chosen.ratio))

    def _alone(self, placed: _Placed) -> nn.Module:
        """A block with parameters of its own that equals the one that is placed there."""
        start = self.space.identity_start
        alone = block_at(placed.chosen, placed.site, identity_start=start)
        borrower = placed.switch.blocks[placed.number]
        alone.load_state_dict(borrower.state())  # type: ignore[operator]
        return alone

    def _clear(self) -> None:
        for switch in self._switches.values():
            switch.active = []

    def _placed_of(self, architecture: Architecture) -> list[_Placed]:
        """Where the blocks of an architecture are, by decision and unit."""
        space = self.space
        if (architecture.backbone, architecture.decisions) != (space.backbone, space.decisions):
            raise ValueError(f"{architecture} is not of the decisions on {space.backbone.name}")
        found: list[_Placed] = []
        for number, option in enumerate(architecture.options):
            if AttentionOption.parse(option).placement is None:
                continue
            if (number, option) not in self._placed:  # perhaps another spelling
                spelled = [options[0] for options in space.options]
                spelled[number] = option
                option = space.architecture(spelled).options[number]
            found += self._placed[number, option]
        return found


def check_shared(space: SearchSpace) -> None:
    """Sees whether one set of weights can hold all options of the space.

    Raises:
        InputError: it cannot, because of the decision that is named; the key is relative to the
            search space.
    """
    for decision, options in zip(space.decisions, space.options, strict=True):
        if not decision.shares(options, space.backbone):
            raise InputError(
                f"a supernet shares one set of weights among all options, which it cannot among "
                f"those of '{decision.name}'. Leave that out, or take a strategy that trains each "
                "architecture.",
                key=decision.key,
            )


class _Variant(NamedTuple):
    """A block of one option for one site, before it is known with whom it shares."""

    chosen: AttentionOption
    site: Site
    block: nn.Module
    widths: tuple[int, ...]


_Alike = tuple[str, str, tuple[bool, int], int, tuple[int, int] | None, tuple[int, ...] | None]


def _alike(unit: str, variant: _Variant) -> _Alike:
    """What blocks of one set of parameters have in common."""
    chosen, site = block(variant.chosen.block), variant.site
    form = site.mode == "replace", site.stride  # bare or wrapped, pooled or not
    size = (site.height, site.width) if chosen.sized else None
    widths = None if chosen.sliceable else variant.widths
    return unit, chosen.function, form, site.channels, size, widths


def _counts(weight: Tensor | float) -> bool:
    """Whether an option of this weight must be run."""
    if isinstance(weight, Tensor) and weight.requires_grad:
        return True
    return float(weight) != 0
