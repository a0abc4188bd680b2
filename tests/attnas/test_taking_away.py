"""A network taken away with its trained weights, and run in a process without this package."""

import json
import shutil
import sys

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import attnas
from attnas.confirmation import confirm, weights_file
from attnas.entry import run_command
from attnas.evaluator import read_record
from attnas.results import Run
from attnas.search_loop import search

from ..without_attnas import run_without_attnas

CONFIG = {
    "name": "digits",
    "data": {"source": "digits", "train": 300, "validation": 200, "test": 200},
    "search_space": {
        "backbone": {"name": "resnet_cifar", "depth": 8, "width": 8},
        "blocks": ["none", "se", "eca"],
        "ratios": [2],
        "stages": {"layer1": {"choice": "se:r2@residual"}},
    },
    "baselines": ["eca@residual"],
    "objectives": {"accuracy": "max", "params": "min"},
    "training": {"epochs": 1},
    "budget": {"trials": 3},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a run, the export of one of its trials, and trained weights of that."""
    folder = tmp_path_factory.mktemp("away")
    run = search(CONFIG, runs=folder / "runs")
    number = next(t.number for t in run.trials if "se" in str(t.architecture))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run_command(["export", "digits", "--trial", str(number), "-o", "best.yaml"]) == 0
        assert run_command(["train", "best.yaml", "--epochs", "2"]) == 0
    return folder


@pytest.fixture
def here(trained, tmp_path, monkeypatch):
    folder = tmp_path / "away"
    shutil.copytree(trained, folder)
    monkeypatch.chdir(folder)
    return folder


def expected(folder):
    """Inputs, and the outputs of the trained network, in a file for the other process."""
    network = attnas.build(folder / "best.yaml", weights=folder / "best.safetensors")
    assert not network.training
    inputs = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        outputs = network(inputs)
    untrained = attnas.build(folder / "best.yaml", seed=0).eval()
    assert not torch.allclose(untrained(inputs), outputs, atol=1e-2)
    torch.save({"inputs": inputs, "outputs": outputs}, folder / "kept.pt")


SAME = """
kept = torch.load("kept.pt", weights_only=True)
with torch.inference_mode():
    found = run(kept["inputs"])
print(json.dumps(float((found - kept["outputs"]).abs().max() / kept["outputs"].abs().max())))
"""
MODULE = "run = importlib.import_module({!r}).network()\n"
PROGRAM = "run = torch.export.load('net.pt2').module()\n"
ONNX = """
import onnxruntime
session = onnxruntime.InferenceSession("net.onnx", providers=["CPUExecutionProvider"])
run = lambda x: torch.from_numpy(session.run(["logits"], {"images": x.numpy()})[0])
"""


METADATA = """
import onnxruntime
session = onnxruntime.InferenceSession("net.onnx", providers=["CPUExecutionProvider"])
print(json.dumps(session.get_modelmeta().custom_metadata_map))
"""


def test_every_form_computes_what_the_trained_network_computes(here, capsys):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    files = ["--python", "net.py", "--pt2", "net.pt2", "--onnx", "net.onnx", "--model", "model"]
    assert run_command(["export", "best.yaml", "--weights", "best.safetensors", *files]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "Wrote net.onnx (the weights of best.safetensors); ONNX Runtime's outputs " in err
    expected(here)
    for code in (MODULE.format("net"), PROGRAM, ONNX):
        assert run_without_attnas(code + SAME, here) <= 1e-5
    shutil.copy(here / "kept.pt", here / "model")
    assert run_without_attnas(MODULE.format("network") + SAME, here / "model") <= 1e-5

    facts = run_without_attnas(METADATA, here)  # what inputs and outputs are
    record = read_record(here / "best.safetensors")
    assert json.loads(facts["classes"]) == record["classes"] == [str(i) for i in range(10)]
    assert json.loads(facts["mean"]) == record["mean"]
    assert facts["architecture"].startswith("layer1=se:r2@residual")


def test_without_onnx_runtime_the_file_is_written_and_said_to_be_unchecked(
    here, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr("attnas.taking_away.export_onnx", lambda *_, **__: None)
    assert run_command(["export", "best.yaml", "--onnx", "net.onnx"]) == 0
    said = capsys.readouterr().err
    assert "Wrote net.onnx (not trained: --weights FILE puts trained weights in), unchecked" in said


def test_another_result_of_onnx_runtime_is_an_error(here, monkeypatch, capsys):
    from attnas.evaluator import OnnxDifference

    monkeypatch.setattr("attnas.taking_away.export_onnx", lambda *_, **__: None)
    monkeypatch.setattr("attnas.taking_away.onnx_difference", lambda *_: OnnxDifference(0.25, 1e-5))
    assert run_command(["export", "best.yaml", "--onnx", "net.onnx"]) == 1
    assert "its outputs differ by 2.5e-01 of the greatest output" in capsys.readouterr().err


def test_the_python_module_finds_its_weights_beside_it(here):
    (here / "other").mkdir()
    asked = ["export", "best.yaml", "--weights", "best.safetensors", "--python", "other/net.py"]
    assert run_command(asked) == 0
    kept, given = load_file(here / "other" / "net.safetensors"), load_file("best.safetensors")
    assert kept.keys() == given.keys()
    assert all(torch.equal(kept[name], given[name]) for name in given)
    assert read_record("other/net.safetensors") == read_record("best.safetensors")


def test_the_model_card_tells_figures_device_data_and_verdict(here):
    run = Run.open("runs/digits")
    number = yaml.safe_load((here / "best.yaml").read_text())["provenance"]["trial"]
    asked = ["export", "digits", "--trial", str(number), "--weights", "best.safetensors"]
    assert run_command([*asked, "--model", "model"]) == 0
    assert sorted(file.name for file in (here / "model").iterdir()) == [
        "README.md", "architecture.yaml", "config.yaml", "model.safetensors", "network.py",
    ]  # fmt: skip
    card = (here / "model" / "README.md").read_text()
    matter = yaml.safe_load(card.split("---\n")[1])
    record = read_record("best.safetensors")
    [result] = matter["model-index"][0]["results"]
    assert matter["pipeline_tag"] == "image-classification"
    assert result["dataset"]["split"] == "test"
    assert result["metrics"][0]["value"] == round(record["metrics"]["accuracy"], 5)
    for told in (
        "| layer1 | `se:r2@residual` |",
        "These weights, after 2 epochs, on 200 test items that were never trained on:",
        "| accuracy |",
        "**Not confirmed.**",
        "| eca@residual |",
        "`torch-cpu`",
        "Source `digits`: 300 for train, 200 for validation, 200 for test.",
        "These weights were trained on: train, validation. Their training began from scratch.",
        "from network import network, prepare",
    ):
        assert told in card, told
    confirm(run, seeds=2)
    assert run_command([*asked, "--model", "model"]) == 0
    assert "**Confirmed with new seeds:** " in (here / "model" / "README.md").read_text()
    assert attnas.build("model/architecture.yaml", weights="model/model.safetensors")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["best.yaml", "--weights", "best.safetensors"],
         "--weights: say what to write: --onnx, --python, --pt2 or --model."),
        (["best.yaml", "--weights", "none.safetensors", "--python", "net.py"],
         "--weights: there is no file 'none.safetensors'."),
        (["best.yaml", "--weights", "other.safetensors", "--python", "net.py"],
         "--weights: 'other.safetensors' lacks the weights of layer1=se:r2@residual"),
        (["best.yaml", "--model", "model"], "--model: a model has weights: give --weights FILE."),
        (["best.yaml", "--trial", "1", "--python", "net.py"],
         "best.yaml: is one architecture already: leave out --trial, --max, --min and --output."),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_away_is_said_before_anything_is_written(
    here, capsys, arguments, message
):
    save_file({"a": torch.zeros(1)}, here / "other.safetensors")
    assert run_command(["export", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (here / "net.py").exists()
    assert not (here / "model").exists()


def test_a_confirmation_keeps_the_network_of_each_architecture_and_seed(here):
    run, said = Run.open("runs/digits"), []
    first = confirm(run, seeds=2)
    assert not (run.folder / "weights").exists()
    again = confirm(run, seeds=2, keep_weights=True, say=said.append)
    assert again == first  # trained again, to the same scores
    assert all(line.endswith("(again, for its weights)") for line in said)
    members = [entry.trial for entry in (again.plain, *again.front)]
    files = [weights_file(run, trial, seed, 1) for trial in members for seed in again.seeds]
    assert sorted((run.folder / "weights").iterdir()) == sorted(files)
    for entry in (again.plain, *again.front):
        for score in entry.scores:
            file = weights_file(run, entry.trial, score.seed, 1)
            record = read_record(file)
            assert record["metrics"]["accuracy"] == pytest.approx(score.value)
            assert (record["seed"], record["trained_on"]) == (score.seed, ["train"])
            assert record["data_sha256"] == run.facts["data"]["data_sha256"]
    said.clear()
    assert confirm(run, seeds=2, keep_weights=True, say=said.append) == first
    assert said == []
    trial = again.front[0].trial
    asked = ["export", "digits", "--trial", str(trial), "--python", "net.py"]
    file = weights_file(run, trial, again.seeds[0], 1)
    assert run_command([*asked, "--weights", str(file)]) == 0
