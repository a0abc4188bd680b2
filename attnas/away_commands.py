"""The commands that bring in and take away: init, export, export-space, train."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .parameters import ConfigFile, DataPath, Output, Runs, Trusted
from .terminal import check_writable, open_run, read_bounds, say, trial_of, write_text

if TYPE_CHECKING:
    from attnas.core import Trial
    from attnas.results import Run

EXPORTS = (".yaml", ".yml", ".json")


def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("attnas.yaml"),
    folder: Annotated[
        str | None, typer.Option("--folder", help="Your photos: one folder of images per class.")
    ] = None,
    timm: Annotated[str | None, typer.Option("--timm", help="A model of timm.")] = None,
    torchvision: Annotated[
        str | None, typer.Option("--torchvision", help="A classifier of torchvision.")
    ] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Begin with the library's trained weights.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Writes a commented config, for your photos and your network if you name them."""
    from attnas.core import InputError

    from .reference import commented_config

    if path.exists() and not force:
        raise InputError("the file exists already. --force overwrites it.", file=str(path))
    content: dict[str, Any] | None = None
    notes: list[str] = []
    if folder is not None or timm is not None or torchvision is not None or pretrained:
        from .starter import starter

        content, notes = starter(
            folder=folder, timm=timm, torchvision=torchvision, pretrained=pretrained
        )
    write_text(path, commented_config(content, notes))
    for note in notes:
        say(note)
    say(f"Wrote {path}. `attnas inspect {path}` shows the network, `attnas search {path}` runs it.")


def export(
    source: Annotated[str, typer.Argument(metavar="RUN|EXPORT", help="A run, or its export.")],
    trial: Annotated[int | None, typer.Option("--trial", help="The trial's number.")] = None,
    maximum: Annotated[
        list[str] | None, typer.Option("--max", help="The best with at most: latency_ms=5.")
    ] = None,
    minimum: Annotated[
        list[str] | None, typer.Option("--min", help="The best with at least: accuracy=0.7.")
    ] = None,
    output: Output = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Trained weights, of `train` or `confirm`.")
    ] = None,
    onnx: Annotated[Path | None, typer.Option("--onnx", help="Write an ONNX file.")] = None,
    python: Annotated[
        Path | None, typer.Option("--python", help="Write a Python module that needs torch alone.")
    ] = None,
    pt2: Annotated[Path | None, typer.Option("--pt2", help="Write a torch.export file.")] = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="Write a folder with weights and model card.")
    ] = None,
    runs: Runs = Path("runs"),
    trust: Trusted = False,
) -> None:
    """Exports an architecture as YAML (or JSON, by suffix): the best one if none is named."""
    from attnas.core import InputError

    files = {"python": python, "onnx": onnx, "program": pt2, "model": model}
    wanted = {kind: file for kind, file in files.items() if file is not None}
    if weights is not None and not wanted:
        raise InputError("say what to write: --onnx, --python, --pt2 or --model.", key="--weights")
    for file in (file for kind, file in wanted.items() if kind != "model"):
        check_writable(file)
    if Path(source).suffix in EXPORTS and Path(source).is_file():
        if trial is not None or maximum or minimum or output is not None:
            raise InputError(
                "is one architecture already: leave out --trial, --max, --min and --output.",
                file=source,
            )
        found: Run | Path = Path(source)
        chosen = None
    else:
        found = run = open_run(source, runs, trust)
        chosen = _chosen(run, trial, maximum, minimum)
        _write_export(run, chosen, output or run.folder / "best.yaml")
    if wanted:
        from .taking_away import take_away  # which loads torch

        take_away(found, chosen, weights, wanted, say=say, trust=trust)


def _chosen(
    run: "Run", number: int | None, maximum: list[str] | None, minimum: list[str] | None
) -> "Trial":
    """The trial that is asked for, by number or by bounds."""
    from attnas.core import InputError

    if number is not None and (maximum or minimum):
        raise InputError("give either --trial or bounds.", key="--trial")
    if number is not None:
        return trial_of(run, number, "--trial")
    return run.best(read_bounds(run, maximum, "--max"), read_bounds(run, minimum, "--min"))


def _write_export(run: "Run", chosen: "Trial", path: Path) -> None:
    """Writes it, and says what should be known of the trial."""
    from attnas.results import write_export

    write_export(run, chosen, path)
    say(f"Wrote trial {chosen.number} ({chosen.architecture}) to {path}.")
    if not chosen.feasible:
        say(f"The trial is {chosen.state}: {chosen.reason}.")
    gain = run.differences.get(chosen.number)
    if gain is not None and gain.within_noise and not chosen.architecture.is_plain:
        metric = run.scored.replace("_", " ")
        say(f"Its {metric} is within noise of the plain backbone's: `attnas confirm` tells more.")


def export_space(
    config: ConfigFile,
    nni: Annotated[Path, typer.Option("--nni", help="The file to write, in NNI's format.")],
) -> None:
    """Writes the search space of a config for another tool."""
    from attnas.search_space import to_nni_json

    from .config import load_config, read_from
    from .problem import make_problem

    parsed = load_config(config)
    with read_from(config):
        space = make_problem(parsed).space
    write_text(nni, json.dumps(to_nni_json(space), indent=2) + "\n")
    say(f"Wrote {space.size:,} architectures to {nni}.")


def train(
    exported: Annotated[Path, typer.Argument(metavar="EXPORTED", help="An exported config.")],
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the data.")] = 30,
    data: DataPath = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    hold_out_validation: Annotated[
        bool,
        typer.Option(
            "--hold-out-validation", help="Weights that a search may begin with (init: FILE)."
        ),
    ] = False,
    init: Annotated[
        str | None,
        typer.Option("--init", help="Weights of the plain backbone to begin with."),
    ] = None,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Begin with random weights.")
    ] = False,
    weights: Annotated[
        Path | None,
        typer.Option("--weights", "--output", "-o", help="Where the trained weights are written."),
    ] = None,
    trust: Trusted = False,
) -> None:
    """Trains an exported architecture fully and scores it on the test split.

    It begins with what the search began with, unless --init or --from-scratch says otherwise.
    """
    from .full_training import train_exported

    target = weights or exported.with_suffix(".safetensors")
    score = train_exported(
        exported,
        epochs=epochs,
        data_path=data,
        seed=seed,
        weights=target,
        say=say,
        hold_out_validation=hold_out_validation,
        init=init,
        from_scratch=from_scratch,
        trust=trust,
    )
    figures = {name.removeprefix("validation_"): v for name, v in score.metrics.items()}
    print(json.dumps({f"test_{name}": value for name, value in figures.items()}))
    say(f"Wrote the weights to {target}.")
