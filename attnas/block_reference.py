"""The page docs/blocks.md, made from what the blocks say of themselves."""

from collections.abc import Iterable, Sequence
from inspect import getdoc

from attnas.search_space import BLOCKS, Block

from .block_listing import FAMILIES, block_rows

_INTRODUCTION = """\
# The attention blocks

Made by `attnas blocks --markdown` (`make docs`) from the blocks themselves. `attnas blocks` lists
them in a terminal, `--family` one family of them, `--measure` with their latency on this machine.

Every block maps (N, C, H, W) to (N, C, H, W), in float32 and bfloat16, contiguous or
channels_last, and leaves as torch.export, torch.compile and ONNX. Its equation, its parameters and
its operations are tested, against timm's class too where there is one.

## Where they are placed

```
gate     x ──┬─────────────► * ──► y        residual, pre, post, identity, expanded
             └─► g ──────────┘              (gca adds instead of multiplying)

mixer    x ──► f ──► y                      replace: bare, in place of a convolution

         x ──┬───────────────────► + ──► y  residual, post, block: beside a shortcut
             └─► norm ► f ► * gamma ┘       gamma = 0 at first

unit     x ──┬───────────► + ──► y          block: one more unit behind a unit
             └─► f ────────┘
```

With an identity start a gate has the factor 1 and a branch adds nothing, so a network computes at
first what it computed without the block. A mixer in place of a convolution starts as its paper
says.

In a list of a config `gates`, `mixers` and `units` stand for the blocks of that kind, and `light`
for those that add less than 1 % to the backbone's parameters in every unit of every stage. A ratio
means what the block's row says; a block takes those ratios of a list that it knows.
"""

_FAMILIES = {
    "channel": """\
A factor for every channel, from means over the whole map.

```
x ──┬──────────────────────────────────────► * ──► y
    └─► pool (N, C) ─► layers ─► sigmoid ────┘
```""",
    "spatial": """\
A factor for every position, from all channels there.

```
x ──┬──────────────────────────────────────► * ──► y
    └─► w . x_p (N, 1, H, W) ─► sigmoid ─────┘
```""",
    "both": """\
Factors that differ over channels and over positions: of both in turn or together, of rows and
columns, or of surroundings.

```
x ──┬───────────────────────────► * ──────────────► * ──► y
    ├─► channels or rows ─────────┘                 │
    └─► positions or columns ───────────────────────┘
```""",
    "self-attention": """\
Every position (for channel_group every channel) becomes a weighted mean over others.

```
x ──┬─► q ─┐
    ├─► k ─┴─► softmax(q k') ─► * ─► project ─► y
    └─► v ─────────────────────┘
```""",
    "mixer": """\
Convolutions, pooling or products that mix positions, chosen or weighted by the input.

```
x ──┬─► branch a ─► * or choice ─► y
    └─► branch b ───┘
```""",
}


def markdown_blocks() -> str:
    """The text of docs/blocks.md."""
    parts = [_INTRODUCTION, "\n## All blocks\n", *_table()]
    for family in FAMILIES:
        parts.append(f"\n## {family.capitalize()}\n\n{_FAMILIES[family]}")
        parts.extend(_section(names) for names in _classes(family))
    return "\n".join(parts) + "\n"


def _table() -> list[str]:
    """Parameters and operations are at 64 channels and 32 x 32; operations in millions."""
    lines = [
        "Parameters and operations (millions of multiply-adds) are those at 64 channels on a\n"
        "32 x 32 map, with ratio 16 or else the middle one.\n",
        "| block | family | kind | ratios | what a ratio means | parameters | operations | paper |",
        "| --- | --- | --- | --- | --- | ---: | ---: | --- |",
    ]
    for row in block_rows()[1:]:
        year = f", {row['year']}" if row["year"] else ""
        lines.append(
            f"| `{row['block']}` | {row['family']} | {row['kind']} | {row['ratios']} | "
            f"{row['ratio_means']} | {row['params_at_64']:,} | {row['flops_at_64'] / 1e6:,.2f} | "
            f"{row['paper']}{year} |"
        )
    return lines


def _classes(family: str) -> Iterable[Sequence[Block]]:
    """The blocks of a family, those of one class together, by the first of their names."""
    found: dict[type, list[Block]] = {}
    for _, entry in BLOCKS.items():
        if entry.family == family:
            found.setdefault(entry.module, []).append(entry)
    return found.values()


def _section(entries: Sequence[Block]) -> str:
    names = ", ".join(f"`{entry.name}`" for entry in entries)
    entry = entries[0]
    supernet = (
        "narrower ratios are the first part of the widest"
        if entry.sliceable
        else "every width has parameters of its own"
    )
    notes = [] if not entry.ratios else [f"In a supernet {supernet}."]
    if entry.sized:
        notes.append("Its parameters or buffers depend on the size of the map.")
    if entry.needs_batch:
        notes.append("A batch of one image cannot train it everywhere.")
    doc = getdoc(entry.module) or ""
    said = "\n".join(notes)
    return f"\n### {names}\n\n```\n{doc.strip()}\n```\n{said}".rstrip()
