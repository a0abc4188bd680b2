"""What a person may get wrong, through the command: one message, the right exit code, no loss."""

import json
import resource
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from attnas.entry import run_command
from attnas.results import Run

PNG_SIDE = 8
HOLDER = """
import fcntl, json, os, sys
file = open(sys.argv[1], "a+")
fcntl.lockf(file, fcntl.LOCK_EX)
file.truncate(0)
file.write(json.dumps({"pid": os.getpid(), "host": "elsewhere"}))
file.flush()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("ATTNAS_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def config(here, settings):
    """A search on the table in a space of 27 architectures."""
    settings["search_space"] = {**settings["search_space"], "blocks": ["none", "eca"]}
    settings["constraints"] = {}
    settings["budget"] = {"trials": 4}
    path = here / "replay.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture
def run(config, capsys):
    """The folder of a finished run."""
    assert run_command(["search", str(config)]) == 0
    capsys.readouterr()
    return config.parent / "runs" / "replayed"


@pytest.fixture
def said(capsys):
    """Runs the command; its exit code and what it wrote to standard error."""

    def said(*arguments):
        capsys.readouterr()
        code = run_command([str(argument) for argument in arguments])
        err = capsys.readouterr().err
        assert "Traceback" not in err
        assert "internal error" not in err
        return code, err

    return said


def trials(folder):
    with Run.open(folder) as opened:
        return [(str(t.architecture), t.state, t.metrics) for t in opened.trials]


def more(trials):
    return ["search", "replay.yaml", "--set", f"budget.trials={trials}"]


@contextmanager
def largest_file(size):
    """Nothing grows beyond so many bytes: a full disk, as the writer sees it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seeds=1", "seeds: unknown key 'seeds'. Did you mean 'seed'?"),
        (
            "search_space.stages.layer1.block=[se]",
            "search_space.stages.layer1.block: unknown key 'block'. Did you mean 'blocks'?",
        ),
        (
            "strategy.popsize=3",
            "strategy.popsize: unknown setting 'popsize'. Known: population, tournament.",
        ),
        (
            "strategy.population=0",
            "strategy.population: cannot be 0. Write a whole number of 2 or more; the default "
            "is 10.",
        ),
        (
            "constraints.latency='<= 5'",
            "constraints.latency: unknown metric 'latency'. Did you mean 'latency_ms'?",
        ),
        (
            "constraints.latency_ms=5",
            "constraints.latency_ms: cannot read 5. Write it with its operator, as '<= 5'.",
        ),
        (
            "constraints.accuracy='>= 0.98x'",
            "constraints.accuracy: '>= 0.98x' is relative to the plain backbone, whose accuracy "
            "is known only after its training. Write an absolute bound.",
        ),
        (
            "objectives.accuracy=up",
            "objectives.accuracy: must be 'max' or 'min', not 'up'.",
        ),
        (
            "objectives.accuracy=min",
            "objectives.accuracy: 'min' looks for the worst. Write 'max'.",
        ),
        ("objectives={}", "objectives: is empty: give at least one."),
        (
            "search_space={blocks: [se], ratios: [4, 7]}",
            "search_space.ratios[1]: the block 'se' does not know the ratio 7. It knows 2, 4, 8, "
            "16, 32.",
        ),
        (
            "search_space.placements=[residual, expanded]",
            "search_space.placements[1]: no unit of resnet_cifar has the placement 'expanded'. It "
            "has residual, pre, post, identity, replace, block.",
        ),
        (
            "search_space.stages.layer9.blocks=[se]",
            "search_space.stages.layer9: unknown stage 'layer9'. Did you mean 'layer3'?",
        ),
        (
            "search_space.backbone.name=rsnet",
            "search_space.backbone.name: unknown backbone 'rsnet'. Did you mean 'resnet'?",
        ),
        ("search_space=null", "search_space: must be a mapping of keys, not empty."),
        (
            "training.learning_rate=.inf",
            "training.learning_rate: must be a finite number, not inf.",
        ),
        ("data.train=many", "data.train: must be a number, not 'many'."),
        ("evaluator.table=no.csv", "evaluator.table: no.csv does not exist."),
        (
            "storage=nonsense",
            "storage: cannot read the database URL. Write 'postgresql://user:password@host/name'.",
        ),
    ],
)
def test_a_wrong_entry_is_named_with_its_file_its_key_and_what_is_right(
    config, said, override, message
):
    code, err = said("search", "replay.yaml", "--set", override)
    assert (code, err) == (2, f"attnas: replay.yaml: {message}\n")
    assert not Run.exists("runs/replayed")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("nonsense", "cannot read 'nonsense'. Write --set dotted.key=value."),
        ("=5", "cannot read '=5'. Write --set dotted.key=value."),
        ("name.x=3", "'name' in 'name.x' is not a section."),
        ("seed=[1", "the value of 'seed=[1' is not valid YAML."),
    ],
)
def test_an_override_that_makes_no_sense_is_named(config, said, override, message):
    code, err = said("search", "replay.yaml", "--set", override)
    assert (code, err) == (2, f"attnas: --set: {message}\n")


def test_a_metric_or_fidelity_that_the_table_lacks_is_wrong_input(config, said, table):
    assert said("search", "replay.yaml", "--set", "constraints.flops='<= 9'") == (
        2,
        f"attnas: replay.yaml: evaluator.table: {table} lacks the column 'flops'. A table has a "
        "column for each decision (layer1, layer2, layer3), for epochs, seconds and each metric; "
        "this one has layer1, layer2, layer3, epochs, accuracy, latency_ms, params, seconds.\n",
    )
    assert said("search", "replay.yaml", "--set", "training.epochs=7") == (
        2,
        f"attnas: replay.yaml: training.epochs: {table} has results after 6 epochs, not after 7.\n",
    )


def test_a_constraint_that_nothing_meets_is_told_with_the_nearest_and_keeps_the_run(config, said):
    code, err = said("search", "replay.yaml", "--set", "constraints.latency_ms='<= 0.5'")
    assert code == 1
    reason = (
        "'latency_ms <= 0.5' rejected 27 of 27 trials. The nearest, trial 0 (layer1=none "
        "layer2=none layer3=none), misses latency_ms <= 0.5 by 100.0%."
    )
    assert err.splitlines()[-1] == (
        "attnas: The search space is used up: of its 27 architectures 1 were trained, 26 broke a "
        f"constraint, 0 failed. Nothing is feasible: {reason}"
    )
    assert len(trials("runs/replayed")) == 27
    code, err = said("pareto", "replayed")
    assert code == 0
    code, err = said("export", "replayed")
    assert (code, err) == (1, f"attnas: runs/replayed: Nothing is feasible: {reason}\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: Is a directory."),
        (b"\xff\xfe\x00\x81", "is not a text file in UTF-8."),
        (
            b"\0\0",
            "not valid YAML: unacceptable character #x0000: special characters are not allowed "
            'in "<unicode string>", position 0.',
        ),
        (b"", "a config is a mapping of keys. `attnas init` writes one."),
        (
            b"a:\n\tb: 1",
            "line 2: not valid YAML: found character '\\t' that cannot start any token.",
        ),
    ],
    ids=["folder", "binary", "zeros", "empty", "tabs"],
)
def test_a_file_that_is_no_config_is_named(here, said, content, message):
    if content is None:
        (here / "file.yaml").mkdir()
    else:
        (here / "file.yaml").write_bytes(content)
    assert said("search", "file.yaml") == (2, f"attnas: file.yaml: {message}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serch", "a.yaml"], "No such command 'serch'"),
        (["search"], "Missing argument 'CONFIG'"),
        (["search", "a.yaml", "--rnus", "x"], "No such option: --rnus"),
        (["show", "replayed", "best"], "Invalid value for 'TRIAL'"),
        (["confirm", "replayed", "--seeds", "1"], "Invalid value for '--seeds'"),
        (["compare"], "Missing argument 'RUN RUN...'"),
    ],
)
def test_a_wrong_command_line_is_explained_and_exit_code_2(here, said, arguments, message):
    code, err = said(*arguments)
    assert code == 2
    assert message in err


def images(folder, classes=("cat", "dog"), count=4):
    rng = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (PNG_SIDE, PNG_SIDE, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


def corrupt(folder):
    images(folder)
    (folder / "cat/1.png").write_bytes(b"no image")


def cut(folder):
    images(folder)
    whole = (folder / "cat/1.png").read_bytes()
    (folder / "cat/1.png").write_bytes(whole[: len(whole) // 2])


def missing(folder):
    images(folder)
    (folder / "cat/1.png").unlink()
    (folder / "cat/1.png").symlink_to("nowhere.png")


def empty_class(folder):
    images(folder)
    (folder / "bird").mkdir()


def single_class(folder):
    images(folder, classes=("cat",))


def other_columns(file):
    pd.DataFrame({"a": [1, 2]}).to_parquet(file)


def no_parquet(file):
    file.write_bytes(b"PAR1 is how one begins")


def other_arrays(file):
    with file.open("wb") as opened:
        np.savez(opened, a=np.zeros(3))


def no_npz(file):
    file.write_text("no archive")


@pytest.mark.parametrize(
    ("source", "make", "message"),
    [
        (
            "folder",
            corrupt,
            "data.path: cannot decode here/cat/1.png: not an image. Replace or remove it, or write "
            "'bad_images: skip' to go on without it.",
        ),
        (
            "folder",
            cut,
            "data.path: cannot decode here/cat/1.png: image file is truncated. Replace or remove "
            "it, or write 'bad_images: skip' to go on without it.",
        ),
        (
            "folder",
            missing,
            "data.path: cannot read here/cat/1.png: No such file or directory. Replace or remove "
            "it.",
        ),
        (
            "folder",
            empty_class,
            "data.path: the class folder 'here/bird' has no images. Fill or remove it.",
        ),
        ("folder", single_class, "data: the images have 1 class (cat); two or more are needed."),
        (
            "folder",
            lambda folder: None,
            "data.path: 'here' does not exist; a folder of class folders is needed.",
        ),
        (
            "parquet",
            other_columns,
            "data.path: no column of images (a struct {bytes, path}) in here. It has a (int64).",
        ),
        ("parquet", no_parquet, "data.path: cannot read 'here' as Parquet: "),
        (
            "npz",
            other_arrays,
            "data.path: 'here' has the arrays a; 'x_train' and 'y_train' or 'train_images' and "
            "'train_labels' or 'images' and 'labels' are needed.",
        ),
        ("npz", no_npz, "data.path: cannot read 'here' as .npz: it is none, or cut."),
        (
            "digit",
            lambda folder: None,
            "data.source: unknown data source 'digit'. Did you mean 'digits'? Your own is written "
            "'package.module:function'.",
        ),
    ],
)
def test_images_that_cannot_be_used_are_named(here, said, source, make, message):
    make(here / "here")
    (here / "a.yaml").write_text(yaml.safe_dump({"data": {"source": source, "path": "here"}}))
    code, err = said("search", "a.yaml")
    assert code == 2
    assert err.startswith(f"attnas: a.yaml: {message}")
    assert err.count("\n") == 1
    assert not (here / "runs").exists()


def test_a_run_of_another_version_or_config_is_left_as_it_is(run, said):
    before = trials(run)
    code, err = said("search", "replay.yaml", "--set", "seed=8")
    assert code == 2
    assert "replayed: was made by another config: seed was 0 and is 8. Give this search" in err
    assert trials(run) == before

    record = (run / "run.json").read_text()
    (run / "run.json").write_text(json.dumps({**json.loads(record), "format": 9}))
    for command in (more(5), ["pareto", "replayed"]):
        assert said(*command) == (
            2,
            "attnas: runs/replayed/run.json: format: the run has format 9, this attnas reads "
            "formats up to 2. Use the attnas that made it, or start a run of another name.\n",
        )
    (run / "run.json").write_text(record)
    assert trials(run) == before


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("run.json", b'{"format": 1', "the file is damaged: Expecting ',' delimiter: line 1 "),
        ("run.json", b'{"format": 1, "facts": 5}', "the file is damaged: 'int' object"),
        ("config.yaml", b": : :", "the file is damaged: "),
        (
            "trials.db",
            b"garbage" * 999,
            "is no database, or a damaged one. Restore a copy of it, or start a run of another "
            "name.",
        ),
        (
            "trials.db",
            b"",
            "the database has lost its tables. Restore a copy of it, or start a run of another "
            "name.",
        ),
    ],
)
def test_a_damaged_file_of_a_run_is_named(run, said, file, content, message):
    for part in run.glob(f"{file}*"):  # a database's log too: it would be played back
        part.unlink()
    (run / file).write_bytes(content)
    for command in (more(5), ["pareto", "replayed"]):
        code, err = said(*command)
        assert code == 1
        assert err.startswith(f"attnas: runs/replayed/{file}: {message}")


def test_a_store_that_another_program_locks_is_waited_for_then_told(run, said, monkeypatch):
    monkeypatch.setattr("attnas.results.database.BUSY_SECONDS", 0.0)
    before = trials(run)
    with closing(sqlite3.connect(run / "trials.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with monkeypatch.context() as impatient:
            impatient.setattr("time.sleep", lambda seconds: None)
            code, err = said(*more(5))
    assert code == 1
    assert err.splitlines()[-1] == (
        "attnas: runs/replayed/trials.db: the database is locked by another program. Close that "
        "and run the command again; all finished trials are kept."
    )
    assert trials(run) == before
    assert said(*more(5))[0] == 0
    assert trials(run)[: len(before)] == before


def test_a_second_search_on_a_run_is_refused_and_readers_are_not(run, said):
    before = trials(run)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        holder.stdout.readline()
        code, err = said(*more(5))
        assert said("pareto", "replayed")[0] == 0
    assert (code, err) == (
        1,
        f"attnas: runs/replayed: another search works on this run (process {holder.pid} on "
        "elsewhere). Wait for it or stop it, or give the run another name.\n",
    )
    assert trials(run) == before


def test_a_place_that_cannot_be_written_is_named_and_finished_trials_stay(run, said):
    before = trials(run)
    code, err = said("search", "replay.yaml", "--runs", "replay.yaml")
    assert (code, err) == (2, "attnas: replay.yaml: is a file; runs need a folder.\n")
    (run / "lock").unlink()
    (run / "lock").mkdir()
    code, err = said(*more(5))
    assert code == 1
    assert err.startswith(f"attnas: {run}/lock: cannot be written: Is a directory.")
    assert trials(run) == before


def test_a_full_disk_in_a_search_loses_no_finished_trial_and_it_goes_on(run, said, monkeypatch):
    before = trials(run)
    with monkeypatch.context() as impatient, largest_file(60_000):  # less than the store has
        impatient.setattr("time.sleep", lambda seconds: None)
        code, err = said(*more(6))
    assert code == 1
    assert err.splitlines()[-1].startswith("attnas: runs/replayed/trials.db: ")
    assert err.endswith("run the command again; all finished trials are kept.\n")
    kept = trials(run)  # a trial may have fitted into the log before it was full
    assert kept[: len(before)] == before
    assert len(kept) < 6
    assert said(*more(6))[0] == 0
    assert trials(run)[: len(kept)] == kept
    assert len(trials(run)) == 6


def test_a_full_disk_where_a_run_begins_leaves_nothing_in_the_way_of_it(config, said):
    with largest_file(1000):
        code, err = said("search", "replay.yaml")
    assert code == 1
    assert "cannot be written: File too large." in err or "the disk gave an error" in err
    assert said("search", "replay.yaml")[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "replayed", "-o", "nowhere/out.json"],
        ["export", "replayed", "--python", "nowhere/out.py"],
        ["export", "replayed", "--onnx", "nowhere/out.onnx"],
        ["report", "replayed", "-o", "nowhere/out.html"],
        ["init", "nowhere/out.yaml"],
    ],
    ids=lambda arguments: arguments[-1],
)
def test_a_result_for_which_there_is_no_folder_is_named(run, said, arguments):
    code, err = said(*arguments)
    assert code == 1
    assert f"attnas: {arguments[-1]}: cannot be written: No such file or directory." in err
    assert not (run / "best.yaml").exists()


def test_a_result_for_which_there_is_no_space_is_named(run, said):
    with largest_file(60_000):
        code, err = said("report", "replayed", "-o", "out.html")
    assert code == 1
    assert err.startswith("attnas: out.html: cannot be written: File too large.")
    with largest_file(100):
        assert said("init", "out.yaml") == (
            1,
            "attnas: out.yaml: cannot be written: File too large.\n",
        )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("replay.yaml", "there is no run 'replay.yaml'. Did you mean 'replayed'?"),
        ("repalyed", "there is no run 'repalyed'. Did you mean 'replayed'?"),
        ("runs", "runs: is not a run: it has no run.json."),
    ],
)
def test_a_name_that_is_no_run_is_explained(run, said, name, message):
    assert said("pareto", name) == (2, f"attnas: {message}\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--trial", "99"], 2, "--trial: the run replayed has no trial 99; it has 0 to 3."),
        (["--max", "latency_ms"], 2, "--max: cannot read 'latency_ms'. Write latency_ms=5."),
        (
            ["--max", "latency_ms=nan"],
            2,
            "--max: cannot read 'latency_ms=nan'. Write latency_ms=5.",
        ),
        (["--max", "lat=5"], 2, "--max: unknown metric 'lat'. "),
        (["--max", "params=1", "--trial", "0"], 2, "--trial: give either --trial or bounds."),
        (
            ["--max", "latency_ms=0.5"],
            1,
            "runs/replayed: no feasible trial has latency_ms <= 0.5. The nearest is trial 0 with "
            "latency_ms 1.",
        ),
        (["-o", "a.txt"], 2, "a.txt: the suffix says the format: .yaml, .yml, .json."),
    ],
)
def test_what_cannot_be_exported_is_explained(run, said, arguments, code, message):
    found, err = said("export", "replayed", *arguments)
    assert found == code
    assert err.startswith(f"attnas: {message}")


def test_an_infeasible_trial_is_exported_when_asked_for_and_said_to_be_so(config, here, said):
    assert said("search", "replay.yaml", "--set", "constraints.latency_ms='<= 1.1x'")[0] == 0
    number = next(
        i for i, (_, state, _) in enumerate(trials("runs/replayed")) if state != "complete"
    )
    code, err = said("export", "replayed", "--trial", number, "-o", "it.json")
    assert code == 0
    assert "The trial is infeasible: latency_ms <= 1.1x missed by " in err
    assert json.loads((here / "it.json").read_text())["violations"]["latency_ms <= 1.1x"] > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 9}, "version: the version 9 is unknown, this attnas reads those up to 2. "),
        ({"version": None}, "version: "),
        ({"architecture": {"layer1": "none"}}, "architecture: options are given for layer1; "),
        ({"backbone": {}}, "backbone: a backbone has name, arguments, "),
        ({"data": None}, "data: must be a mapping, as an export has it."),
        ({"data": {"source": "digits"}}, "data: the entry 'data_sha256' is missing."),
        ({"recipe": 5}, "recipe: must be a mapping, as an export has it."),
        ({}, "the run replayed a table: there are no data to train on."),
    ],
)
def test_an_export_that_cannot_be_trained_is_named_with_the_key(run, said, changes, message):
    said("export", "replayed", "-o", "it.json")
    content = json.loads((run.parent.parent / "it.json").read_text())
    (run.parent.parent / "it.json").write_text(json.dumps({**content, **changes}))
    code, err = said("train", "it.json")
    assert code == 2
    assert err.startswith(f"attnas: it.json: {message}")


def test_runs_that_cannot_be_compared_or_confirmed_are_explained(run, said):
    other = "objectives={accuracy: max, params: min}"
    said("search", "replay.yaml", "--set", "name=other", "--set", other)
    assert said("compare", "replayed", "other") == (
        2,
        "attnas: the runs have other objectives and cannot be compared: replayed accuracy max, "
        "latency_ms min; other accuracy max, params min.\n",
    )
    assert said("compare", "replayed") == (2, "attnas: RUN: give two runs or more.\n")
    assert said("confirm", "replayed") == (
        2,
        "attnas: runs/replayed: it replayed a table: there is nothing to train.\n",
    )
