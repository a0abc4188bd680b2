"""What a candidate's training starts from: scratch, a trained backbone, or a supernet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from attnas.core import InputError, first_line
from attnas.search_space import Architecture, Backbone, SearchSpace, Supernet, build, read_parts

from .weights_file import read_record, read_weights


class Start(Protocol):
    """Makes networks to be trained; `label` says of what weights, for checkpoints."""

    @property
    def label(self) -> str: ...

    def network(self, architecture: Architecture, seed: int) -> nn.Module: ...


@dataclass(frozen=True)
class FromScratch:
    """Random weights, those of the backbone the same for all architectures of a seed."""

    label: str = "scratch"

    def network(self, architecture: Architecture, seed: int) -> nn.Module:
        return build(architecture, seed=seed)


@dataclass(frozen=True)
class FromBackbone:
    """A trained backbone's weights, and new blocks.

    With identity starts a candidate computes at first what the trained backbone does. `record`
    is what the file says of its own training (`training_record`), nothing if others wrote it.
    """

    weights: Mapping[str, Tensor]
    label: str
    record: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str | Path, backbone: Backbone) -> "FromBackbone":
        """Reads a state dict with the names of the plain network, as `read_weights`.

        Raises:
            InputError: there is no such file, or it holds no weights of that network.
        """
        plain = build(Architecture.plain(backbone), seed=0)
        try:
            weights, digest = read_weights(path, plain, f"the plain {backbone.name}", key="init")
        except FileNotFoundError:
            raise InputError(
                f"there is no file '{path}'. Write 'scratch', 'supernet' or a file of weights.",
                key="init",
            ) from None
        return cls(weights, f"sha256:{digest}", read_record(path))

    def network(self, architecture: Architecture, seed: int) -> nn.Module:
        return build(architecture, seed=seed, weights=self.weights)


@dataclass(frozen=True)
class FromSupernet:
    """The weights of the architecture's path in the supernet that the run's strategy trained.

    The file is read with the first candidate: the supernet is trained by then.
    """

    space: SearchSpace
    file: Path
    label: str = "supernet"

    def network(self, architecture: Architecture, seed: int) -> nn.Module:
        """The seed is ignored: all weights are inherited.

        Raises:
            InputError: the file is missing, damaged, or of another space.
        """
        return self._supernet.subnet(architecture)

    @cached_property
    def _supernet(self) -> Supernet:
        net = Supernet(self.space, seed=0)
        try:
            net.load_state_dict(read_parts(self.file)["supernet"])
        except FileNotFoundError:
            raise InputError(
                f"the run has no supernet: there is no {self.file}. Take a strategy that trains "
                "one (darts, gdas, proxyless, oneshot).",
                key="init",
            ) from None
        except Exception as error:  # a damaged file makes torch raise anything
            raise InputError(
                f"{self.file} is no supernet of this search space: {first_line(error)}", key="init"
            ) from error
        return net
