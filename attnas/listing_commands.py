"""The commands that list what there is: blocks, strategies, devices, keys of the config."""

from typing import Annotated

import typer

from .parameters import AsJson
from .terminal import print_rows


def blocks(
    family: Annotated[
        str | None,
        typer.Option("--family", help="channel, spatial, both, self-attention or mixer."),
    ] = None,
    sort: Annotated[
        str, typer.Option("--sort", help="block, family, params, flops, latency or year.")
    ] = "block",
    measure: Annotated[
        bool, typer.Option("--measure", help="The latency of each on this machine.")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="The page docs/blocks.md.")] = False,
    as_json: AsJson = False,
) -> None:
    """Lists the attention blocks, with their costs at 64 channels on a 32 x 32 map."""
    from .block_listing import block_rows, block_table
    from .block_reference import markdown_blocks

    if markdown:
        print(markdown_blocks(), end="")
        return
    rows = block_rows(family=family, order=sort, measure=measure)
    print_rows(rows if as_json else block_table(rows), as_json)


def strategies(as_json: AsJson = False) -> None:
    """Lists the strategies."""
    from .listings import strategy_rows

    print_rows(strategy_rows(), as_json)


def devices(as_json: AsJson = False) -> None:
    """Lists the devices, and which of them are usable here."""
    from .listings import device_rows

    print_rows(device_rows(), as_json)


def schema(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The reference of docs/config.md.")
    ] = False,
) -> None:
    """Prints the config's JSON schema."""
    from .reference import json_schema, markdown_reference

    print(markdown_reference() if markdown else f"{json_schema()}\n", end="")
