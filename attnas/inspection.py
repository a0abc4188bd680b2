"""What `attnas inspect` shows: where blocks can be placed in the network of a config."""

from collections.abc import Mapping
from typing import Any

import torch
import yaml

from attnas.core import import_plugins
from attnas.evaluator import check_recipe, make_task
from attnas.search_space import KEEP, Attention, Backbone, Site, discover

from .config import Config
from .left_out import left_out
from .pattern_notes import pattern_notes, some
from .problem import read_backbone, read_data, read_function


def inspect(config: Config) -> dict[str, Any]:
    """The stages with their units and sites, and notes on what was left out, in plain types.

    Raises:
        InputError: the config names no network that runs; with its key.
    """
    import_plugins(config.plugins)
    task = None
    if read_function(config) is None:
        task = make_task(config.task.name, config.task.options)
    data = None if config.evaluator else read_data(config, task)
    section = config.search_space.backbone
    backbone = read_backbone(section, data, task)
    if data is not None and task is not None:
        check_recipe(config.training, data, task, backbone)
    return {
        "backbone": backbone.name,
        "input_shape": list(backbone.input_shape),
        "output_shape": list(backbone.output_shape),
        "parameters": _parameters(backbone),
        "stages": {name: _stage(backbone, name) for name in backbone.stage_names},
        "notes": _notes(backbone, config, found=section.stages is None),
    }


def as_config(found: Mapping[str, Any]) -> str:
    """The stages as YAML to paste into `search_space.backbone`, each site with its layout.

    Behind each site is what a block sees there, `channels x height x width`, of the first and
    the last unit where they differ.
    """
    lines = [
        f"# {found['backbone']}: {found['parameters']:,} parameters, "
        f"an input of {_sides(found['input_shape'])}"
    ]
    lines += [f"# {note}" for note in found["notes"]]
    lines.append("stages:")
    for name, stage in found["stages"].items():
        count = len(stage["units"])
        plural = "unit" if count == 1 else "units"
        lines.append(f"  {name}:  # {count} {plural}: {some(stage['units'])}")
        lines.append(f"    units: {_flow(stage['globs'])}")
        lines.append("    sites:")
        for placement, site in stage["sites"].items():
            written = {site["mode"]: site["path"], "layout": site["layout"]}
            seen = " ... ".join(dict.fromkeys(map(_sides, (site["first"], site["last"]))))
            what = ", there already" if site["attention"] else ""
            lines.append(f"      {placement}: {_flow(written)}  # {seen}{what}")
    return "\n".join(lines)


def _stage(backbone: Backbone, name: str) -> dict[str, Any]:
    units = backbone.units(name)
    pattern = next((stage for stage in backbone.stages if stage.name == name), None)
    placements = dict.fromkeys(placement for unit in units for placement in unit.sites)
    sites = {}
    for placement in placements:
        having = [(unit, unit.sites[placement]) for unit in units if placement in unit.sites]
        (unit, first), (_, last) = having[0], having[-1]
        sites[placement] = {
            "mode": first.mode,
            "path": first.path.removeprefix(unit.path).removeprefix("."),
            "layout": str(first.layout),
            "attention": first.attention,
            "units": len(having),
            "first": _seen(first),
            "last": _seen(last),
        }
    paths = [unit.path for unit in units]
    return {"globs": list(pattern.units) if pattern else paths, "units": paths, "sites": sites}


def _seen(site: Site) -> list[int]:
    return [site.channels, site.height, site.width]


def _parameters(backbone: Backbone) -> int:
    with torch.random.fork_rng(devices=[]):
        return sum(parameter.numel() for parameter in backbone.network().parameters())


def _notes(backbone: Backbone, config: Config, *, found: bool) -> list[str]:
    """What was not found in the network, which allowed blocks have no place, what patterns name."""
    notes: list[str] = []
    if found and backbone.stages:
        with torch.random.fork_rng(devices=[]):
            network = backbone.network()
            whole = discover(network, backbone.input_shape, key="search_space.backbone")
        notes += whole.notes
        for wanted, stage in zip(whole.stages, backbone.stages, strict=False):
            notes += [
                f"{stage.name}: no site '{placement}': the network does not run with a block there"
                for placement, _ in wanted.sites
                if placement not in dict(stage.sites)
            ]
    notes += left_out(config.search_space, backbone)
    notes += pattern_notes(backbone, config.training)
    if any(Attention(stage).present(backbone) for stage in backbone.stage_names):
        notes.append(
            f"attention is there already: '{KEEP}', 'none' and gates at placement 'attention'"
        )
    return notes


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False).strip()


def _sides(sizes: list[int]) -> str:
    return " x ".join(map(str, sizes))
