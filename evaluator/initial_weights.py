"""What a candidate's training starts from: scratch, a trained backbone, or a supernet."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import safe_open
from safetensors.torch import load
from torch import Tensor, nn

from attnas.core import InputError, first_line
from attnas.search_space import Architecture, Backbone, SearchSpace, Supernet, build, read_parts

from .data import Data

_RECORD = "attnas"  # key of the metadata
SHOWN = 3  # names of a mismatch that an error lists


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
        """Reads a state dict with the names of the plain network, as `read_weights`."""
        weights, digest = read_weights(path, backbone)
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


def read_weights(path: str | Path, backbone: Backbone) -> tuple[dict[str, Tensor], str]:
    """The state of a plain backbone from a file, and the file's SHA-256.

    The file is safetensors or `torch.save`'s, loaded with `weights_only`; a state dict in it
    may lie under the key `state_dict`. Names are those of the plain network, also where
    inserted blocks rename them.

    Raises:
        InputError: the file cannot be read, or names or shapes are not the backbone's.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        kept: Any = load(content) if path.suffix == ".safetensors" else _unpickled(path)
    except FileNotFoundError:
        raise InputError(
            f"there is no file '{path}'. Write 'scratch', 'supernet' or a file of weights.",
            key="init",
        ) from None
    except Exception as error:  # a file of another kind makes torch raise anything
        raise InputError(
            f"'{path}' is neither safetensors (.safetensors) nor a state dict of torch.save.",
            key="init",
        ) from error
    if not isinstance(kept, Mapping):
        raise InputError(f"'{path}' holds a {type(kept).__name__}, not a state dict.", key="init")
    if isinstance(kept.get("state_dict"), Mapping):
        kept = kept["state_dict"]
    _check(kept, backbone, path)
    return dict(kept), hashlib.sha256(content).hexdigest()


def training_record(data: Data, trained_on: Sequence[str]) -> dict[str, str]:
    """The metadata of a weights file: which data were split how, and which splits were seen."""
    known = {name: data.facts.get(name) for name in ("data_sha256", "validation_sha256")}
    return {_RECORD: json.dumps({**known, "trained_on": list(trained_on)})}


def read_record(path: str | Path) -> Mapping[str, Any]:
    """What `training_record` wrote into a safetensors file; empty of any other."""
    if Path(path).suffix != ".safetensors":
        return {}
    with safe_open(str(path), framework="pt") as file:
        kept = json.loads((file.metadata() or {}).get(_RECORD, "{}"))
    return kept if isinstance(kept, Mapping) else {}


def refuse_leak(record: Mapping[str, Any], data: Data) -> None:
    """Refuses weights that have seen the items which score the trials.

    Raises:
        InputError: they have, or with other splits of the same data may have.
    """
    if not record or record.get("data_sha256") != data.facts.get("data_sha256"):
        return
    if "validation" in record.get("trained_on", ()):
        seen = "these weights were trained on the validation items of these data, too"
    elif record.get("validation_sha256") != data.facts.get("validation_sha256"):
        seen = "these weights were trained on these data with other splits"
    else:
        return
    raise InputError(
        f"{seen}: the trials would be scored on what they know. Train them by `attnas train "
        "--hold-out-validation` from an export of a search with these splits.",
        key="init",
    )


def _unpickled(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _check(kept: Mapping[str, Any], backbone: Backbone, path: Path) -> None:
    """Refuses weights that are not those of the plain network."""
    own = build(Architecture.plain(backbone), seed=0).state_dict()
    missing = [name for name in own if name not in kept]
    unexpected = [str(name) for name in kept if name not in own]
    reshaped = [
        f"{name} {list(getattr(kept[name], 'shape', []))}, not {list(own[name].shape)}"
        for name in own
        if name in kept and getattr(kept[name], "shape", None) != own[name].shape
    ]
    faults = [
        f"{what}: {_some(names)}"
        for what, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", reshaped),
        )
        if names
    ]
    if faults:
        raise InputError(
            f"'{path}' lacks the weights of the plain {backbone.name}; {'; '.join(faults)}.",
            key="init",
        )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
