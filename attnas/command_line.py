"""The commands of `attnas`. Tables go to standard output, all else to standard error.

Each command imports what it needs, so that `--help` loads neither torch nor ray.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from . import away_commands as away
from . import listing_commands as listing
from .parameters import (
    AsCsv,
    AsJson,
    ConfigFile,
    DataPath,
    Output,
    Overrides,
    RunName,
    Runs,
    Trusted,
)
from .terminal import (
    open_run,
    print_front,
    say,
    stderr,
    stdout,
    trial_of,
)

app = typer.Typer(
    name="attnas",
    help="Searches for the attention that a network should have.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


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


app.command()(away.init)


@app.command()
def search(
    config: ConfigFile,
    overrides: Overrides = None,
    runs: Runs = Path("runs"),
) -> None:
    """Runs a search, or goes on with it. Ctrl-C stops it cleanly; the same command goes on."""
    from .config import load_config, read_from
    from .live import LiveView
    from .search_loop import search as run_search

    view = LiveView(stderr())
    parsed = load_config(config, overrides or ())
    with view.shown(), read_from(config):
        run = run_search(parsed, runs=runs, observer=view)
    print_front(run, verdicts=False)  # the search has said them
    say(
        f"Next: `attnas report {run.folder}`, `attnas confirm {run.folder}`, "
        f"`attnas export {run.folder}`."
    )


@app.command()
def inspect(config: ConfigFile, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Shows where blocks can be placed in the config's network, as a section to paste."""
    from . import inspection
    from .config import load_config, read_from

    with read_from(config):
        found = inspection.inspect(load_config(config, overrides or ()))
    print(json.dumps(found, indent=2) if as_json else inspection.as_config(found))


@app.command()
def profile(
    config: ConfigFile,
    overrides: Overrides = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=1, help="At most so long it measures.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Measure again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measures the device's latency table, by decision and option, and states its error."""
    from attnas.results import listing_table

    from .config import load_config, read_from
    from .profile import profile as make_profile

    parsed = load_config(config, overrides or ())
    with read_from(config):
        found = make_profile(parsed, note=say, seconds=seconds, force=force)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        figures = ("ms", "standard_error")
        shown = [row | {f: round(row[f], 3) for f in figures} for row in found["entries"]]
        stdout().print(listing_table(shown))


@app.command()
def pareto(
    run: RunName,
    runs: Runs = Path("runs"),
    trust: Trusted = False,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Draw it to a .svg, .pdf or .png file.")
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Shows the front: the feasible trials that no other one dominates."""
    from attnas import results

    loaded = open_run(run, runs, trust)
    if picture is not None:
        results.write_picture(loaded, picture)
        say(f"Wrote {picture}.")
    elif as_json:
        print(json.dumps(results.pareto_rows(loaded), indent=2))
    elif as_csv:
        print(results.pareto_frame(loaded).to_csv(index=False), end="")
    else:
        print_front(loaded)


@app.command()
def show(
    run: RunName,
    trial: Annotated[int, typer.Argument(metavar="TRIAL", help="The trial's number.")],
    runs: Runs = Path("runs"),
    trust: Trusted = False,
    as_json: AsJson = False,
) -> None:
    """Shows one architecture: what is decided, and its metrics beside the plain backbone's."""
    from attnas.results import show_rows, show_table

    loaded = open_run(run, runs, trust)
    chosen = trial_of(loaded, trial)
    if as_json:
        print(json.dumps(show_rows(loaded, chosen), indent=2))
    else:
        stdout().print(show_table(loaded, chosen))


@app.command()
def check(run: RunName, runs: Runs = Path("runs"), as_json: AsJson = False) -> None:
    """Sees whether a run is still as it was written; the exit code is 1 where it is not."""
    from attnas.results import check as check_run
    from attnas.results import found_folder

    found = check_run(found_folder(run, runs))
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
    for difference in found.differences if not as_json else ():
        print(difference)
    bare = f", {found.without_checksum:,} of them without a checksum" * bool(found.without_checksum)
    many = len(found.differences)
    differ = f"{many:,} {'differs' if many == 1 else 'differ'}" if many else "all as written"
    say(f"Looked at {found.files:,} files and {found.trials:,} trials{bare}: {differ}.")
    if found.differences:
        raise typer.Exit(1)


@app.command()
def report(
    run: RunName,
    output: Output = None,
    runs: Runs = Path("runs"),
    trust: Trusted = False,
) -> None:
    """Writes one self-contained interactive HTML page."""
    from attnas.results import report as write_report

    loaded = open_run(run, runs, trust)
    path = output or loaded.folder / "report.html"
    write_report(loaded, path)
    say(f"Wrote {path}.")


@app.command()
def dashboard(
    run: RunName,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Of the page; 0 takes any free one.")
    ] = 8080,
    runs: Runs = Path("runs"),
    trust: Trusted = False,
) -> None:
    """Serves the report on localhost, as it is while the search goes on; Ctrl-C ends it."""
    from .dashboard import serve

    with open_run(run, runs, trust) as loaded:
        folder = loaded.folder
    serve(folder, port, say, trust=trust)  # which opens the run anew for each page


app.command()(away.export)
app.command(name="export-space")(away.export_space)
app.command()(away.train)


@app.command()
def confirm(
    run: RunName,
    seeds: Annotated[int, typer.Option("--seeds", min=2, help="New seeds.")] = 5,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Epochs; the trials' own if not given.")
    ] = None,
    data: DataPath = None,
    keep_weights: Annotated[
        bool, typer.Option("--keep-weights", help="Keep each trained network in RUN/weights.")
    ] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Trainings at once.")] = 1,
    runs: Runs = Path("runs"),
    trust: Trusted = False,
    as_json: AsJson = False,
) -> None:
    """Trains the front, the baselines and the plain backbone with new seeds: is the gain real?"""
    from attnas.results import confirmation_table

    from .confirmation import confirm as run_confirm

    loaded = open_run(run, runs, trust)
    confirmation = run_confirm(
        loaded,
        seeds=seeds,
        epochs=epochs,
        data_path=data,
        keep_weights=keep_weights,
        workers=workers,
        say=say,
    )
    if as_json:
        print(json.dumps(confirmation.summary(), indent=2))
    else:
        stdout().print(confirmation_table(confirmation))
    say(confirmation.verdict())


@app.command()
def compare(
    names: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Runs to compare.")],
    runs: Runs = Path("runs"),
    trust: Trusted = False,
    as_json: AsJson = False,
) -> None:
    """Shows fronts side by side: hypervolume, coverage, best."""
    from attnas.core import InputError
    from attnas.results import compare as compare_runs
    from attnas.results import compare_rows, compare_table

    if len(names) < 2:
        raise InputError("give two runs or more.", key="RUN")
    comparison = compare_runs([open_run(name, runs, trust) for name in names])
    for warning in comparison.warnings:
        say(warning)
    if as_json:
        print(json.dumps(compare_rows(comparison), indent=2))
    else:
        stdout().print(compare_table(comparison))


for command in (listing.blocks, listing.strategies, listing.devices, listing.schema):
    app.command()(command)
