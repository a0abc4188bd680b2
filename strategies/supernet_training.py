"""Training of a single-path supernet: several paths a step, by the sandwich rule."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from attnas.search_space import NONE, Architecture, AttentionOption, SearchSpace, Supernet

from .checkpoint import Stateful
from .weight_sharing import SupernetSearch, check_finite

Family = tuple[str, str | None]
"""Block and placement: what of an option remains without its ratio."""
Shape = tuple[int, ...]


def train_supernet(search: SupernetSearch, net: Supernet, *, epochs: int, paths: int) -> None:
    """Trains in place by the recipe, a one-cycle over `epochs`; goes on from the last epoch.

    Each step takes the gradient of `paths` architectures drawn by `sandwich` on one batch.

    Raises:
        AttnasError: the loss is not finite, or the state cannot be written.
    """
    training = search.training
    optimizer = training.optimizer(net)
    parts: dict[str, Stateful] = {"supernet": net, "optimizer": optimizer}
    kept = search.checkpointed("supernet", parts)
    means = MeanGradients(net)
    for number in kept.epochs(epochs):
        search.resources.progress("supernet epoch", number, epochs)
        with torch.random.fork_rng(devices=_cuda(training.device)):
            torch.manual_seed(int(np.random.default_rng((search.seed, number)).integers(2**62)))
            _train_epoch(search, net, optimizer, means, number, epochs, paths)
        search.resources.progress("supernet epoch", number + 1, epochs)
    means.remove()


def _train_epoch(
    search: SupernetSearch,
    net: Supernet,
    optimizer: torch.optim.Optimizer,
    means: "MeanGradients",
    number: int,
    epochs: int,
    paths: int,
) -> None:
    training, seed = search.training, search.seed
    small = number < training.small_epochs(epochs)
    net.train()
    batches = training.epoch("weights", seed, number, small=small)
    for step, (inputs, targets) in enumerate(batches):
        rng = np.random.default_rng((seed, number, step))
        done = number * training.steps + step
        training.set_rate(optimizer, done, epochs * training.steps)
        optimizer.zero_grad(set_to_none=True)
        for architecture in sandwich(search.space, paths, rng):
            net.select(architecture)
            means.path(dict(net.parts()))
            with training.autocast():
                outputs = net(inputs)
            loss = training.loss(outputs.float(), targets)
            check_finite(loss.item(), number)
            loss.backward()
        means.take()
        optimizer.step()


def sandwich(space: SearchSpace, paths: int, rng: np.random.Generator) -> list[Architecture]:
    """The architectures of one step: a widest, a narrowest, the others uniformly drawn.

    The sandwich rule: Yu and Huang 2019, arXiv:1903.05134, section 3.2; in one-shot search
    Yu et al. 2020 (BigNAS), arXiv:2003.11142, section 3.1, and Cai et al. 2020
    (once-for-all), arXiv:1908.09791. There one network is the largest. Here blocks of different
    kinds compete, and the same largest ones in each step would be trained most and rank first
    for it; so a (block, placement) is drawn for each decision, each with the same probability,
    and the two ends are its widest and its narrowest ratio. Where they are one, no step has two
    paths for it. With one path it is uniform (Guo et al. 2020, SPOS, arXiv:1904.00420, section
    3.2).
    """
    if paths < 2:
        return [space.sample(rng) for _ in range(paths)]
    drawn: list[Sequence[str]] = []
    for options in space.options:
        families = _families(options)
        drawn.append(families[int(rng.integers(len(families)))])
    widest = _architecture(space, [family[0] for family in drawn])
    narrowest = _architecture(space, [family[-1] for family in drawn])
    ends = list(dict.fromkeys((widest, narrowest)))
    return [*ends, *(space.sample(rng) for _ in range(paths - len(ends)))]


def _families(options: Sequence[str]) -> list[list[str]]:
    """The options by block and placement, each from the least ratio, the widest, up."""
    found: dict[Family, list[str]] = {}
    for option in sorted(map(AttentionOption.parse, options), key=lambda o: o.ratio or 0):
        family = (NONE.block, None) if option == NONE else (option.block, option.placement)
        found.setdefault(family, []).append(str(option))
    return [found[family] for family in sorted(found, key=str)]


def _architecture(space: SearchSpace, options: Sequence[str]) -> Architecture:
    return replace(space.plain, options=tuple(options))


class MeanGradients:
    """Turns gradients summed over the paths of a step into means, for each weight its own.

    What each path uses (the backbone) is divided by the number of paths, what one of them uses
    (a block, or the units that only its widest ratio has) is not divided at all: else blocks
    would learn the slower the more paths a step has.
    """

    def __init__(self, network: nn.Module) -> None:
        self._parts: Mapping[nn.Parameter, Shape] = {}
        self._uses: dict[Tensor, list[Shape]] = {}
        self._handles = [
            parameter.register_post_accumulate_grad_hook(self._count)
            for parameter in network.parameters()
            if parameter.requires_grad
        ]

    def path(self, parts: Mapping[nn.Parameter, Shape]) -> None:
        """Says of which parameters the next gradients are of a leading part alone."""
        self._parts = parts

    def take(self) -> None:
        """Divides the gradients that were summed since the last call."""
        for parameter, shapes in self._uses.items():
            if len(shapes) > 1 and parameter.grad is not None:
                parameter.grad.div_(_uses(parameter, shapes))
        self._uses.clear()

    def remove(self) -> None:
        """Takes the hooks off the parameters."""
        for handle in self._handles:
            handle.remove()

    def _count(self, parameter: nn.Parameter) -> None:
        shape = self._parts.get(parameter, tuple(parameter.shape))
        self._uses.setdefault(parameter, []).append(shape)


def _uses(parameter: Tensor, shapes: Sequence[Shape]) -> Tensor | int:
    """How often each element is in leading parts of these shapes, at least 1."""
    if set(shapes) == {tuple(parameter.shape)}:
        return len(shapes)
    uses = torch.zeros_like(parameter, requires_grad=False)
    for shape in shapes:
        uses[tuple(map(slice, shape))] += 1
    return uses.clamp(min=1)


def _cuda(device: str) -> list[int]:
    return [torch.cuda.current_device()] if device.startswith("cuda") else []
