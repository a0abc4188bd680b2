"""Files of weights: read, held against a network, written with what they were trained on."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load, save
from torch import Tensor, nn

from attnas.core import InputError, TrainingResult, replace_file, writing

from .data import Data

_RECORD = "attnas"  # key of the metadata
SHOWN = 3  # names of a mismatch that an error lists


def read_weights(
    path: str | Path, network: nn.Module, name: str, *, key: str
) -> tuple[dict[str, Tensor], str]:
    """The state of a network from a file, and the file's SHA-256.

    The file is safetensors or `torch.save`'s, loaded with `weights_only`; a state dict in it
    may lie under the key `state_dict`. Names and shapes are those of the network, which an error
    calls by `name`.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the file cannot be read, or names or shapes are not the network's.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        kept: Any = load(content) if path.suffix == ".safetensors" else _unpickled(path)
    except FileNotFoundError:
        raise
    except Exception as error:  # a file of another kind makes torch raise anything
        raise InputError(
            f"'{path}' is neither safetensors (.safetensors) nor a state dict of torch.save.",
            key=key,
        ) from error
    if not isinstance(kept, Mapping):
        raise InputError(f"'{path}' holds a {type(kept).__name__}, not a state dict.", key=key)
    if isinstance(kept.get("state_dict"), Mapping):
        kept = kept["state_dict"]
    faults = _faults(kept, network.state_dict())
    if faults:
        raise InputError(f"'{path}' lacks the weights of {name}; {'; '.join(faults)}.", key=key)
    return dict(kept), hashlib.sha256(content).hexdigest()


def write_weights(path: Path, network: nn.Module, record: Mapping[str, str]) -> None:
    """Writes the network's state as safetensors, with what `training_record` says of it.

    Raises:
        AttnasError: it cannot be written.
    """
    state = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
    with writing(path, named=False):
        replace_file(path, save(state, dict(record)))


def training_record(
    data: Data | None, trained_on: Sequence[str], result: TrainingResult, **more: Any
) -> dict[str, str]:
    """The metadata of a weights file, of which `read_record` gives the entries.

    Which data were split how, and which splits were seen; what inputs were normalised by (`mean`
    and `deviation` by channel) and the names of the `classes`; the `metrics` on the test split with
    their `intervals`, and how many `items` that has; and `more` that can be JSON.
    """
    known: dict[str, Any] = {
        "trained_on": list(trained_on),
        "epochs": result.epochs,
        "metrics": {name.removeprefix("validation_"): v for name, v in result.metrics.items()},
        "intervals": {name: list(ends) for name, ends in result.intervals.items()},
        "items": None if result.scores is None else result.scores.items,
        **more,
    }
    if data is not None:
        mean, deviation = data.channel_statistics
        known |= {name: data.facts.get(name) for name in ("data_sha256", "validation_sha256")}
        known |= {"mean": mean.tolist(), "deviation": deviation.tolist()}
        known["classes"] = list(data.classes)
    return metadata(known)


def metadata(record: Mapping[str, Any]) -> dict[str, str]:
    """The metadata that has a record."""
    return {_RECORD: json.dumps(dict(record))}


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
    refuse_other_splits(record, data)
    if _same_data(record, data) and "validation" in record.get("trained_on", ()):
        raise _leak("these weights were trained on the validation items of these data, too")


def refuse_other_splits(record: Mapping[str, Any], data: Data) -> None:
    """Refuses weights that were trained on the same data with other splits.

    Raises:
        InputError: they were: they may have seen any item.
    """
    if not _same_data(record, data):
        return
    if record.get("validation_sha256") != data.facts.get("validation_sha256"):
        raise _leak("these weights were trained on these data with other splits")


def _same_data(record: Mapping[str, Any], data: Data) -> bool:
    return bool(record) and record.get("data_sha256") == data.facts.get("data_sha256")


def _leak(seen: str) -> InputError:
    return InputError(
        f"{seen}: the trials would be scored on what they know. Train them by `attnas train "
        "--hold-out-validation` from an export of a search with these splits.",
        key="init",
    )


def _unpickled(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _faults(kept: Mapping[str, Any], own: Mapping[str, Tensor]) -> list[str]:
    """In what weights are not those of a network."""
    missing = [name for name in own if name not in kept]
    unexpected = [str(name) for name in kept if name not in own]
    reshaped = [
        f"{name} {list(getattr(kept[name], 'shape', []))}, not {list(own[name].shape)}"
        for name in own
        if name in kept and getattr(kept[name], "shape", None) != own[name].shape
    ]
    found = (("missing", missing), ("unexpected", unexpected), ("of another shape", reshaped))
    return [f"{what}: {_some(names)}" for what, names in found if names]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
