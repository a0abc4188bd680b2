"""An architecture as a Python module that needs neither this package nor a file of its own."""

from collections.abc import Sequence
from typing import Any

from attnas.core import InputError

from .architecture import Architecture
from .build import seeded
from .construction import Constructed, Construction
from .edits import Edit
from .insertion import insert
from .safetensors_file import read_safetensors
from .source_code import SourceCode


def python_module(
    architecture: Architecture,
    *,
    weights: str | None = None,
    classes: Sequence[str] = (),
    normalisation: tuple[Sequence[float], Sequence[float]] | None = None,
) -> str:
    """The text of a Python module whose `network()` builds the architecture.

    The sources of our backbones and of the blocks, also those that a plugin registers, are copied;
    a factory of the user's own and the models of timm, torchvision and transformers are imported.
    Beside these the module needs torch alone. With the same seed its network has the initial
    weights of `build`; trained weights of a backbone are not among them.

    Args:
        weights: name of the safetensors file beside the module that `network()` loads.
        classes: names of the outputs.
        normalisation: mean and deviation by channel, which the module's `prepare` takes off inputs
            and divides them by.

    Raises:
        InputError: a decision of the user's own kind makes modules that have no source, or the
            network was handed over as an object.
    """
    from .backbones.source import backbone_source

    code = SourceCode(reserved=_NAMES)
    for module, attributes in _IMPORTS.items():  # first: the template has their own names
        for attribute in attributes:
            code.imported(module, attribute)
    names = [code.name_of(used) for used in (seeded, insert, read_safetensors)]
    plain = backbone_source(architecture.variant, code)
    edits = [_edit(edit, architecture, code) for edit in architecture.edits]
    table = "".join(f"    {line},\n" for line in edits)
    return _TEMPLATE.format(
        title=_title(architecture),
        code=code.text(),
        classes=tuple(classes),
        prepare=_prepare(architecture, normalisation),
        weights=f"Path(__file__).with_name({weights!r})" if weights is not None else "None",
        table=f"(\n{table})" if table else "()",
        plain=plain,
        seeded=names[0],
        insert=names[1],
        read=names[2],
    )


def _title(architecture: Architecture) -> str:
    lines = [f"{name}: {option}" for name, option in architecture.by_name.items()]
    lines = [f"{architecture.backbone.name}, found by attnas.", "", *lines]
    # an option may be any text: it must not end the docstring
    return "\n".join(repr(line)[1:-1].replace('"', "'") for line in lines)


def _prepare(
    architecture: Architecture, normalisation: tuple[Sequence[float], Sequence[float]] | None
) -> str:
    """The function that normalises inputs; nothing where their normalisation is not known."""
    if normalisation is None:
        return ""
    mean, deviation = (tuple(map(float, part)) for part in normalisation)
    shape = (-1, *(1 for _ in architecture.backbone.input_shape[1:]))
    return _PREPARE.format(mean=mean, deviation=deviation, shape=shape)


def _edit(edit: Edit, architecture: Architecture, code: SourceCode) -> str:
    """The line of the table that makes an edit."""
    if not isinstance(edit.make, Constructed):
        raise InputError(
            f"what is put at '{edit.path}' has no source that could be written: it comes from a "
            "kind of decision of your own. --pt2 and --onnx can hold it."
        )
    made = _call(edit.make.construction(architecture.identity_start), code)
    return f"({edit.mode!r}, {edit.path!r}, lambda: {made})"


def _call(construction: Construction, code: SourceCode) -> str:
    parts = [_argument(argument, code) for argument in construction.arguments]
    parts += [f"{n}={_argument(v, code)}" for n, v in construction.keywords.items()]
    return f"{code.name_of(construction.of)}({', '.join(parts)})"


def _argument(value: Any, code: SourceCode) -> str:
    return _call(value, code) if isinstance(value, Construction) else repr(value)


_IMPORTS = {
    "collections.abc": ("Callable",),
    "pathlib": ("Path",),
    "torch": ("", "Tensor", "nn"),
}

_NAMES = (
    *("CHANGES", "CLASSES", "DEVIATION", "MEAN", "WEIGHTS"),
    *("network", "plain_network", "prepare"),
)
"""What the module itself defines."""

_PREPARE = '''
MEAN, DEVIATION = {mean}, {deviation}


def prepare(inputs: Tensor) -> Tensor:
    """Inputs (N, C, ...) as the network was trained on them; levels of images go from 0 to 255."""
    mean, deviation = (torch.tensor(part).reshape{shape} for part in (MEAN, DEVIATION))
    return (inputs.float() - mean) / deviation

'''

_TEMPLATE = '''\
"""{title}

The definitions are copied from attnas (Apache License 2.0), which is not needed to run them.
"""

from __future__ import annotations

{code}

CLASSES: tuple[str, ...] = {classes!r}
"""The names of the outputs, where they are known."""
{prepare}
WEIGHTS: Path | None = {weights}
"""The trained weights: a safetensors file."""

CHANGES: tuple[tuple[str, str, Callable[[], nn.Module]], ...] = {table}
"""What is put into the plain network: how, at which module, and what."""


def plain_network() -> nn.Module:
    """The network without the changes, with random weights."""
    return {plain}


def network(*, weights: str | Path | None = WEIGHTS, seed: int | None = None) -> nn.Module:
    """The network, with the weights of a safetensors file, else with random ones.

    A seed makes random weights reproducible.
    """
    with {seeded}(seed, ""):
        made = plain_network()
    modules = []
    for how, path, make in CHANGES:
        with {seeded}(seed, path):
            modules.append((how, path, make()))
    {insert}(made, modules)
    if weights is None:
        return made
    made.load_state_dict({read}(weights))
    return made.eval()
'''
