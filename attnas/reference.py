"""The config reference and the commented config, both made from the schema."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import yaml
from pydantic.fields import FieldInfo

from attnas.core import METRICS, in_order
from attnas.evaluator import SOURCES, TASKS
from attnas.search_space import BACKBONES

from .config import Config, sections

_INTRODUCTION = """\
# Config reference

Made by `attnas schema --markdown` from the schema that configs are checked against.
`attnas init` writes a config with these comments; `attnas schema` prints the JSON schema.
Unknown keys are refused. A key can be given on the command line too:
`attnas search CONFIG --set training.epochs=10`.
"""

_STARTER: dict[str, Any] = {
    "name": "my-search",
    "data": {"source": "digits"},
    "search_space": {
        "backbone": {"name": "resnet_cifar", "depth": 8},
        "blocks": ["none", "se", "eca", "cbam"],
        "ratios": [4, 8, 16],
        "placements": ["residual"],
    },
    "baselines": ["se:r8@residual", "eca@residual"],
    "objectives": {"accuracy": "max", "latency_ms": "min"},
    "constraints": {"latency_ms": "<= 1.8x"},
    "device": {"name": "torch-cpu", "threads": 1, "batch_size": 1},
    "strategy": None,  # the default's name is filled in
    "training": {"epochs": 6},
    "budget": {"trials": 20},
    "seed": 0,
}


def json_schema() -> str:
    """The JSON schema of configs."""
    return _filled(json.dumps(Config.model_json_schema(), indent=2))


def markdown_reference() -> str:
    """The text of docs/config.md."""
    parts = [_INTRODUCTION]
    for key, model in sections():
        doc = " ".join((model.__doc__ or "").split())
        parts.append(f"\n## {f'`{key}`' if key else 'Top level'}\n\n{doc}\n")
        parts.append("| key | type | default | meaning |\n| --- | --- | --- | --- |")
        parts.extend(_row(name, field) for name, field in model.model_fields.items())
    return "\n".join(parts) + "\n"


def commented_config(content: Mapping[str, Any] | None = None, notes: Sequence[str] = ()) -> str:
    """A config with the meaning of each key; one that runs as it is, if no content is given.

    The `notes` stand at its head.
    """
    fields = {key: model.model_fields for key, model in sections()}
    lines = ["# `attnas search` runs this file; docs/config.md explains every key."]
    lines += [f"# {note}" for note in notes]
    for name, value in (_STARTER if content is None else content).items():
        inner = fields.get(name)
        if name == "strategy" and inner is not None:
            value = {"name": inner["name"].default}
        if inner is None or not isinstance(value, dict):
            lines.append(_entry(name, value, fields[""][name], ""))
            continue
        lines.append(f"{name}:  # {fields[''][name].description}")
        lines.extend(_entry(key, v, inner.get(key), "  ") for key, v in value.items())
    return "\n".join(lines) + "\n"


_OF_SOURCES = {"image_size": "side that all images are scaled to"}
"""Options that a starter sets beside the keys of the schema."""


def _entry(name: str, value: Any, field: FieldInfo | None, indent: str) -> str:
    described = (field.description or "") if field is not None else _OF_SOURCES.get(name, "")
    said = _filled(described)
    comment = f"  # {said}" if said else ""
    return f"{indent}{name}: {_one_line(value)}{comment}"


def _row(name: str, field: FieldInfo) -> str:
    meaning = _filled(field.description or "").replace("|", "\\|")
    return f"| `{name}` | {_type(field)} | {_default(field)} | {meaning} |"


def _type(field: FieldInfo) -> str:
    annotation = field.annotation
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    if "[" in str(annotation):
        text = str(annotation)
    for noise in _NOISE:
        text = text.replace(noise, "")
    return f"`{text}`".replace("|", "\\|")


_NOISE = (
    "attnas.config.",
    "attnas.engine_config.",
    "attnas.evaluator.recipe.",
    "typing.",
    "Config",
)


def _filled(text: str) -> str:
    """A description with the names that registries know."""
    for token, names in _names().items():
        text = text.replace(f"{{{token}}}", ", ".join(f"`{name}`" for name in names))
    return text


@cache
def _names() -> dict[str, list[str]]:
    proxies = [m.name for m in METRICS.loaded() if m.on_request]
    return {
        "sources": list(SOURCES),
        "backbones": list(BACKBONES),
        "tasks": list(TASKS),
        "proxies": in_order(proxies),
    }


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if hasattr(value, "model_dump"):
        return "see below"
    return f"`{_one_line(value)}`"


def _one_line(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False).strip()
    return text.removesuffix("...").strip()
