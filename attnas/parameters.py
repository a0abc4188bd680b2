"""Arguments and options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

Runs = Annotated[Path, typer.Option("--runs", help="The folder that the runs are in.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's name or folder.")]
ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="The config, a YAML file.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Overrides a key: --set dotted.key=value.")
]
DataPath = Annotated[
    str | None, typer.Option("--data", help="Where the data are now, if they moved.")
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="The file to write.")]
Trusted = Annotated[
    bool, typer.Option("--trust", help="Import code that it names, though not made here.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON to standard output.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="CSV to standard output.")]
