"""Backbones as source: the expression that makes the plain network with random weights."""

import importlib

from attnas.core import InputError, import_own, is_object

from ..backbone import Backbone, thaw
from ..source_code import SourceCode, called
from .registry import BACKBONES, KEY, factory_arguments, from_data


def backbone_source(backbone: Backbone, code: SourceCode) -> str:
    """The expression; what it needs is collected in `code`.

    One of ours, or one that a plugin registers, is copied. A function of the user's own and a
    library's model are imported.

    Raises:
        InputError: the network was handed over as an object, or its source cannot be read.
    """
    arguments = {name: thaw(value) for name, value in backbone.arguments}
    classes = backbone.output_shape[0] if backbone.output_shape else None
    name, sizes = backbone.name, from_data(classes, backbone.input_shape[0])
    if is_object(name):
        raise InputError(
            f"'{name}' was handed over as an object, which a Python module cannot import. Name a "
            "function in a file, or take --pt2 or --onnx.",
            key=f"{KEY}.factory",
        )
    if "/" in name:
        library, _, model = name.partition("/")
        rest = {n: v for n, v in arguments.items() if n not in ("pretrained", "weights")}
        written = importlib.import_module(f"{__package__}.from_{library}")
        text: str = written.source(
            model,
            rest,
            code,
            pretrained=bool(arguments.get("pretrained")),
            classes=classes,
            input_shape=backbone.input_shape,
        )
        return text
    if ":" in name:
        module, _, function = name.partition(":")
        keywords = factory_arguments(name, import_own(name, key=f"{KEY}.factory"), arguments, sizes)
        return called(code.imported(module, function), (), keywords)
    return called(code.name_of(BACKBONES[name]), (), {**sizes, **arguments})
