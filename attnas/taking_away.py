"""What is taken away of an architecture: ONNX, a program of torch, a Python module, a model folder.

None of the files needs this package.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from attnas.core import AttnasError, InputError, Trial, to_yaml, write, writing
from attnas.evaluator import (
    export_onnx,
    export_program,
    metadata,
    onnx_difference,
    read_record,
    write_weights,
)
from attnas.results import Run, export, load_export, model_card
from attnas.search_space import Architecture, build, python_module

from .starting_weights import trained

Say = Callable[[str], None]
WEIGHTS_FILE, MODULE_FILE, CARD_FILE = "model.safetensors", "network.py", "README.md"
EXPORT_FILE, CONFIG_FILE = "architecture.yaml", "config.yaml"


def take_away(
    found: Run | Path,
    trial: Trial | None,
    weights: Path | None,
    wanted: Mapping[str, Path],
    *,
    say: Say,
    trust: bool = False,
) -> None:
    """Writes what is `wanted` (`python`, `onnx`, `program`, `model`) of a trial, or of an export.

    Raises:
        InputError, AttnasError: as the methods of `TakenAway`. Wrong weights are told before
            anything is written.
    """
    if isinstance(found, Path):
        taken = TakenAway(*load_export(found, trust=trust), weights)
    else:
        chosen = found.best() if trial is None else trial
        taken = TakenAway(chosen.architecture, export(found, chosen), weights, found)
    if weights is not None:
        _ = taken.network
    for kind, file in wanted.items():
        getattr(taken, f"write_{kind}")(file, say)


@dataclass(frozen=True)
class TakenAway:
    """An architecture with what its export says of it, and a file with its trained weights.

    Without weights networks have random ones, or those of the library that their backbone is of.
    `run` is the run that it is of, where that is known.
    """

    architecture: Architecture
    document: Mapping[str, Any]
    weights: Path | None = None
    run: Run | None = None

    @cached_property
    def network(self) -> nn.Module:
        """The network in eval mode.

        Raises:
            InputError: there is no file of weights, or they are another network's.
        """
        if self.weights is None:
            seed = self.document.get("provenance", {}).get("seed")
            return build(self.architecture, seed=seed).eval()
        return trained(self.architecture, self.weights, key="--weights")

    @cached_property
    def record(self) -> Mapping[str, Any]:
        """What the file of weights says of their training."""
        return {} if self.weights is None else read_record(self.weights)

    def write_onnx(self, path: Path, say: Say) -> None:
        """Writes an ONNX file and says by how much its outputs differ from the network's.

        Raises:
            InputError: as `network`.
            AttnasError: it cannot be written, or ONNX Runtime computes something else.
        """
        facts = {"architecture": str(self.architecture)}
        facts |= {n: json.dumps(self.record[n]) for n in _FACTS if n in self.record}
        shape = self.architecture.backbone.input_shape
        export_onnx(self.network, shape, path, facts=facts)
        found = onnx_difference(self.network, shape, path)
        if found is None:
            say(
                f"Wrote {path} ({self._weights_text}), unchecked: ONNX Runtime is not installed "
                "(pip install 'attnas[onnx]')."
            )
            return
        if not found.equal:
            raise AttnasError(
                f"{path}: ONNX Runtime computes something else: its outputs differ by "
                f"{found.greatest:.1e} of the greatest output, where {found.allowed:.0e} would be "
                "rounding. Take --pt2 or --python instead."
            )
        say(
            f"Wrote {path} ({self._weights_text}); ONNX Runtime's outputs differ by at most "
            f"{found.greatest:.1e} of the greatest output."
        )

    def write_program(self, path: Path, say: Say) -> None:
        """Writes a program of torch.export; raises as `export_program` and `network`."""
        export_program(self.network, self.architecture.backbone.input_shape, path)
        say(f"Wrote {path} ({self._weights_text}).")

    def write_python(self, path: Path, say: Say) -> None:
        """Writes a Python module, and the weights that it loads beside it.

        Raises:
            InputError: as `network` and `python_module`.
            AttnasError: a file cannot be written.
        """
        beside = path.with_suffix(".safetensors")
        text = self._module(beside.name)
        if self.weights is not None and self.weights.resolve() != beside.resolve():
            write_weights(beside, self.network, metadata(self.record))
        write(path, text)
        also = "" if self.weights is None else f" and {beside}"
        say(f"Wrote {path}{also} ({self._weights_text}).")

    def write_model(self, folder: Path, say: Say) -> None:
        """Writes a folder as model hubs have it: weights, a model card, and what builds it.

        Raises:
            InputError: there are no weights; and as `write_python`.
            AttnasError: a file cannot be written.
        """
        if self.weights is None:
            raise InputError("a model has weights: give --weights FILE.", key="--model")
        text, card = self._module(WEIGHTS_FILE), model_card(self.document, self.record, self.run)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_weights(folder / WEIGHTS_FILE, self.network, metadata(self.record))
        write(folder / MODULE_FILE, text)
        write(folder / EXPORT_FILE, to_yaml(self.document))
        if self.run is not None:
            write(folder / CONFIG_FILE, to_yaml(self.run.config))
        write(folder / CARD_FILE, card)
        say(f"Wrote {folder}: {', '.join(sorted(file.name for file in folder.iterdir()))}.")

    def _module(self, weights: str) -> str:
        known = {"mean", "deviation"} <= set(self.record)
        return python_module(
            self.architecture,
            weights=None if self.weights is None else weights,
            classes=self.record.get("classes", ()),
            normalisation=(self.record["mean"], self.record["deviation"]) if known else None,
        )

    @property
    def _weights_text(self) -> str:
        if self.weights is None:
            return "not trained: --weights FILE puts trained weights in"
        return f"the weights of {self.weights}"


_FACTS = ("classes", "mean", "deviation")
