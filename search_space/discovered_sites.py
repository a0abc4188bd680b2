"""The sites of units that were found by running a network: in each the same, by vote."""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

from torch import nn

from .known_attention import is_known_attention
from .recording import Record, Recording, is_sum
from .stages import Insertion, join

Sites = tuple[tuple[str, Insertion], ...]

_SHORTCUT = re.compile("shortcut|skip|downsample|identity")


def sites_of(units: Sequence[str], recording: Recording) -> tuple[Sites, list[str]]:
    """The sites that all units have in common, and what is left out, a sentence each.

    `pre` and `post` are around the unit, `residual` is the end of its (last) residual branch,
    `expanded` what its projection gets, `replace` a convolution that keeps the channels, for a
    mixer, and `attention` what the network has there already, for gates.
    """
    wanted: dict[str, Insertion | None] = {
        "pre": Insertion("before", ""),
        "post": Insertion("after", ""),
        "block": Insertion("after", ""),
    }
    for placement, mode, find, sure in (
        ("residual", "after", _residual_ends, False),
        ("expanded", "before", _projections, True),
        ("replace", "replace", _convolutions, True),
        ("attention", "replace", _attention, True),
    ):
        path = _voted([find(unit, recording) for unit in units], units, recording, sure=sure)
        wanted[placement] = None if path is None else Insertion(mode, path)  # type: ignore[arg-type]
    found, notes = [], []
    for placement, insertion in wanted.items():
        if insertion is None:
            continue
        lacking = _without_layout(insertion, units, recording)
        if lacking is None:
            found.append((placement, insertion))
        elif placement != "block":
            notes.append(f"no site '{placement}': {lacking}")
    return tuple(sorted(found)), notes


def _without_layout(insertion: Insertion, units: Sequence[str], recording: Recording) -> str | None:
    """Why a block cannot be placed so in each of the units that have the module."""
    for unit in units:
        record = recording.records.get(join(unit, insertion.path))
        if record is None or _is_empty(record, insertion):
            continue
        before = insertion.mode == "before"
        shape = record.got if before else record.gave
        if record.calls != 1:
            return f"'{record.path}' is run {record.calls} times"
        if not shape:
            return f"'{record.path}' has no tensor there"
        layout = recording.layout(record, unit, before=before)
        if layout is None:
            return f"the layout of the shape {shape} at '{record.path}' cannot be seen"
        if layout.sizes(shape, recording.axes.input_shape) is None:
            return f"the shape {shape} at '{record.path}' is no {layout}"
    return None


def _is_empty(record: Record, insertion: Insertion) -> bool:
    return insertion.mode == "replace" and isinstance(record.module, nn.Identity)


def _voted(
    found: Sequence[Sequence[str]], units: Sequence[str], recording: Recording, *, sure: bool
) -> str | None:
    """The path, relative to the unit, that most of the units name; the first of equal ones.

    With `sure` each unit that has such a module must name it.
    """
    votes = Counter(path for paths in found for path in paths)
    for path, _ in votes.most_common():
        having = [recording.records.get(join(unit, path)) for unit in units]
        others = [
            record is None
            or path in named
            or isinstance(record.module, nn.Identity)
            or (not sure and record.calls == 1)
            for record, named in zip(having, found, strict=True)
        ]
        if all(others):
            return path
    return None


def _relative(records: Sequence[Record], unit: str) -> list[str]:
    return [record.path.removeprefix(f"{unit}.") for record in records]


def _residual_ends(unit: str, recording: Recording) -> list[str]:
    """The modules whose output is added to something else to give the unit's, best first.

    An activation behind the sum is looked through.
    """
    whole, inside = recording.records[unit], recording.inside(unit)
    sums = [whole.gave_points]
    sums += [r.got_points for r in inside if r.gave_id == whole.gave_id and r.got == whole.gave]
    size = math.prod(whole.gave)  # some flatten their maps meanwhile
    of_shape = [r for r in inside if r.calls == 1 and math.prod(r.gave) == size]
    operands = [r.got_points for r in (whole, *inside) if math.prod(r.got) == size]
    operands += [r.gave_points for r in of_shape]
    found = [
        record
        for record in reversed(of_shape)
        if any(is_sum(points, record.gave_points, operands) for points in sums)
    ]
    found = [record for record in found if not _SHORTCUT.search(record.path[len(unit) :])]

    def rank(record: Record) -> tuple[bool, int]:
        return not any(True for _ in record.module.parameters()), record.path.count(".")

    return _relative(sorted(found, key=rank), unit)


def _projections(unit: str, recording: Recording) -> list[str]:
    """The pointwise convolution behind a depthwise one that makes the map narrower."""
    convolutions = [r for r in recording.inside(unit) if isinstance(r.module, nn.Conv2d)]
    wide = 0
    for record in convolutions:
        layer = record.module
        assert isinstance(layer, nn.Conv2d)
        if layer.groups == layer.in_channels > 1:
            wide = layer.out_channels
        elif wide == layer.in_channels > layer.out_channels and max(record.got[2:]) > 1:
            return _relative([record], unit)
    return []


def _convolutions(unit: str, recording: Recording) -> list[str]:
    """The last convolution that sees neighbours and keeps the channels."""
    return _relative(_last(unit, recording, _is_mixing), unit)


def _attention(unit: str, recording: Recording) -> list[str]:
    return _relative(_last(unit, recording, lambda r: is_known_attention(r.module)), unit)


def _last(unit: str, recording: Recording, wanted: Callable[[Record], bool]) -> list[Record]:
    found = [r for r in recording.inside(unit) if r.calls == 1 and wanted(r)]
    return found[-1:]


def _is_mixing(record: Record) -> bool:
    layer = record.module
    if not isinstance(layer, nn.Conv2d) or layer.groups != 1 or len(record.got) != 4:
        return False
    stride = layer.stride[0]
    kept = record.gave[2:] == tuple(-(-side // stride) for side in record.got[2:])
    return layer.in_channels == layer.out_channels and layer.kernel_size[0] > 1 and kept
