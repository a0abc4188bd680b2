"""The commands of `attnas`. Tables go to standard output, all else to standard error.

Each command imports what it needs, so that `--help` loads neither torch nor ray.
"""

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from attnas.results import Run

app = typer.Typer(
    name="attnas",
    help="Searches for the attention that a network should have.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Runs = Annotated[Path, typer.Option("--runs", help="The folder that the runs are in.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's name or folder.")]
ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="The config, a YAML file.")]
DataPath = Annotated[
    str | None, typer.Option("--data", help="Where the data are now, if they moved.")
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="The file to write.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON to standard output.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="CSV to standard output.")]


@app.callback(invoke_without_command=True)
def _global(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        print(f"attnas {installed('attnas')}")
        raise typer.Exit


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("attnas.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Writes a commented config."""
    from attnas.search_space import InputError

    from .reference import commented_config

    if path.exists() and not force:
        raise InputError("the file exists already. --force overwrites it.", file=str(path))
    _write(path, commented_config())
    say(f"Wrote {path}. `attnas search {path}` runs it.")


@app.command()
def search(
    config: ConfigFile,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Overrides a key: --set dotted.key=value.")
    ] = None,
    runs: Runs = Path("runs"),
) -> None:
    """Runs a search, or goes on with it. Ctrl-C stops it cleanly; the same command goes on."""
    from .config import load_config, read_from
    from .live import LiveView
    from .search_loop import search as run_search

    view = LiveView(_stderr())
    parsed = load_config(config, overrides or ())
    with view.shown(), read_from(config):
        run = run_search(parsed, runs=runs, observer=view)
    _print_front(run)
    say(
        f"Next: `attnas report {run.folder}`, `attnas confirm {run.folder}`, "
        f"`attnas export {run.folder}`."
    )


@app.command()
def pareto(
    run: RunName, runs: Runs = Path("runs"), as_json: AsJson = False, as_csv: AsCsv = False
) -> None:
    """Shows the front: the feasible trials that no other one dominates."""
    from attnas.results import pareto_rows

    loaded = _open(run, runs)
    if as_json:
        print(json.dumps(pareto_rows(loaded), indent=2))
    elif as_csv:
        import pandas

        print(pandas.DataFrame(pareto_rows(loaded)).to_csv(index=False), end="")
    else:
        _print_front(loaded)


@app.command()
def show(
    run: RunName,
    trial: Annotated[int, typer.Argument(metavar="TRIAL", help="The trial's number.")],
    runs: Runs = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Shows one architecture: stage by stage, and its metrics beside the plain backbone's."""
    from attnas.results import show_rows, show_table

    loaded = _open(run, runs)
    chosen = _trial(loaded, trial)
    if as_json:
        print(json.dumps(show_rows(loaded, chosen), indent=2))
    else:
        _stdout().print(show_table(loaded, chosen))


@app.command()
def report(run: RunName, output: Output = None, runs: Runs = Path("runs")) -> None:
    """Writes one self-contained interactive HTML page."""
    from attnas.results import report as write_report

    loaded = _open(run, runs)
    path = output or loaded.folder / "report.html"
    write_report(loaded, path)
    say(f"Wrote {path}.")


@app.command()
def export(
    run: RunName,
    trial: Annotated[int | None, typer.Option("--trial", help="The trial's number.")] = None,
    maximum: Annotated[
        list[str] | None, typer.Option("--max", help="The best with at most: latency_ms=5.")
    ] = None,
    minimum: Annotated[
        list[str] | None, typer.Option("--min", help="The best with at least: accuracy=0.7.")
    ] = None,
    output: Output = None,
    onnx: Annotated[Path | None, typer.Option("--onnx", help="Write an ONNX file too.")] = None,
    python: Annotated[
        Path | None, typer.Option("--python", help="Write a Python module too.")
    ] = None,
    runs: Runs = Path("runs"),
) -> None:
    """Exports an architecture as YAML (or JSON, by suffix): the best one if none is named."""
    from attnas.results import export_onnx, export_python, write_export
    from attnas.search_space import InputError

    loaded = _open(run, runs)
    if trial is not None and (maximum or minimum):
        raise InputError("give either --trial or bounds.", key="--trial")
    chosen = (
        _trial(loaded, trial)
        if trial is not None
        else loaded.best(max=_bounds(maximum, "--max"), min=_bounds(minimum, "--min"))
    )
    path = output or loaded.folder / "best.yaml"
    write_export(loaded, chosen, path)
    say(f"Wrote trial {chosen.number} ({chosen.architecture}) to {path}.")
    if not chosen.feasible:
        say(f"The trial is {chosen.state}: {chosen.reason}.")
    if python is not None:
        _write(python, export_python(chosen.architecture, loaded.facts.get("plugins", ())))
        say(f"Wrote {python}.")
    if onnx is not None:
        from attnas.search_space.build import build

        network = build(chosen.architecture, seed=chosen.seed)
        export_onnx(network, chosen.architecture.backbone.input_shape, onnx)
        say(f"Wrote {onnx} (initial weights).")


@app.command()
def train(
    exported: Annotated[Path, typer.Argument(metavar="EXPORTED", help="An exported config.")],
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the data.")] = 30,
    data: DataPath = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    output: Output = None,
) -> None:
    """Trains an exported architecture fully and scores it on the test split."""
    from .full_training import train_exported

    weights = output or exported.with_suffix(".safetensors")
    score = train_exported(
        exported, epochs=epochs, data_path=data, seed=seed, weights=weights, say=say
    )
    print(json.dumps({"test_accuracy": score.accuracy, "test_loss": score.loss}))
    say(f"Wrote the weights to {weights}.")


@app.command()
def confirm(
    run: RunName,
    seeds: Annotated[int, typer.Option("--seeds", min=2, help="New seeds.")] = 3,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Epochs; the trials' own if not given.")
    ] = None,
    data: DataPath = None,
    runs: Runs = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Trains the front and the plain backbone with new seeds: is the gain real?"""
    from attnas.results import confirmation_table

    from .confirm import confirm as run_confirm

    loaded = _open(run, runs)
    confirmation = run_confirm(loaded, seeds=seeds, epochs=epochs, data_path=data, say=say)
    if as_json:
        print(json.dumps(confirmation.summary(), indent=2))
    else:
        _stdout().print(confirmation_table(confirmation))
    say(confirmation.verdict())


@app.command()
def compare(
    names: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Runs to compare.")],
    runs: Runs = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Shows fronts side by side: hypervolume, coverage, best."""
    from attnas.results import compare as compare_runs
    from attnas.results import compare_rows, compare_table
    from attnas.search_space import InputError

    if len(names) < 2:
        raise InputError("give two runs or more.", key="RUN")
    comparison = compare_runs([_open(name, runs) for name in names])
    for warning in comparison.warnings:
        say(warning)
    if as_json:
        print(json.dumps(compare_rows(comparison), indent=2))
    else:
        _stdout().print(compare_table(comparison))


@app.command()
def blocks(as_json: AsJson = False) -> None:
    """Lists the attention blocks."""
    from .listings import block_rows

    _print_rows(block_rows(), as_json)


@app.command()
def strategies(as_json: AsJson = False) -> None:
    """Lists the strategies."""
    from .listings import strategy_rows

    _print_rows(strategy_rows(), as_json)


@app.command()
def devices(as_json: AsJson = False) -> None:
    """Lists the devices, and which of them are usable here."""
    from .listings import device_rows

    _print_rows(device_rows(), as_json)


@app.command()
def schema(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The reference of docs/config.md.")
    ] = False,
) -> None:
    """Prints the config's JSON schema."""
    from .config import Config
    from .reference import markdown_reference

    if markdown:
        print(markdown_reference(), end="")
    else:
        print(json.dumps(Config.model_json_schema(), indent=2))


def _open(run: str, runs: Path) -> "Run":
    from attnas.results import Run

    return Run.open(run, runs=runs)


def _trial(run: "Run", number: int) -> Any:
    from attnas.search_space import InputError

    if not 0 <= number < len(run.trials):
        raise InputError(
            f"the run {run.name} has no trial {number}; it has 0 to {len(run.trials) - 1}.",
            key="TRIAL",
        )
    return run.trials[number]


def _bounds(texts: list[str] | None, key: str) -> dict[str, float] | None:
    """`metric=value` pairs as a mapping."""
    from attnas.results import metric
    from attnas.search_space import InputError

    bounds = {}
    for text in texts or ():
        name, _, value = text.partition("=")
        try:
            bounds[metric(name).name] = float(value)
            if math.isnan(bounds[name]):
                raise ValueError
        except ValueError:
            raise InputError(f"cannot read '{text}'. Write latency_ms=5.", key=key) from None
        except InputError as error:
            raise error.inside(key=key) from error
    return bounds or None


def _write(path: Path, text: str) -> None:
    from attnas.search_space import AttnasError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AttnasError(f"{path}: cannot be written: {error.strerror}.") from error


def _print_front(run: "Run") -> None:
    from attnas.results import pareto_table

    _stdout().print(pareto_table(run))


def _print_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
    from attnas.results import listing_table

    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        _stdout().print(listing_table(rows))


def _stdout() -> "Console":
    from rich.console import Console

    return Console()


def _stderr() -> "Console":
    from rich.console import Console

    return Console(stderr=True)


def say(text: str) -> None:
    """A message for people, to standard error, as it is."""
    print(text, file=sys.stderr)
