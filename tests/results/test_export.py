import json
import math

import numpy as np
import pytest
import torch
import yaml

from attnas.core import AttnasError, InputError
from attnas.results import export, load_export, write_export
from attnas.search_space import Architecture, build

OPTIONS = {"layer1": "eca@post", "layer2": "none", "layer3": "se:r8@residual"}


@pytest.fixture
def chosen(values):
    return Architecture.read(values["backbone"], values["decisions"], OPTIONS, identity_start=False)


@pytest.fixture
def exported(run, trial, chosen):
    """A run with one trial, of the chosen architecture."""
    run.append(trial(0, architecture=chosen, metrics={"accuracy": 0.5, "latency_ms": 2.0}))
    return run


def same_network(found, expected, input_shape):
    """Whether both have equal parameters by name, and equal outputs."""
    a, b = dict(found.named_parameters()), dict(expected.named_parameters())
    images = torch.randn(2, *input_shape, generator=torch.Generator().manual_seed(0))
    return list(a) == list(b) and torch.equal(found.eval()(images), expected.eval()(images))


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
def test_an_exported_architecture_builds_the_same_network(exported, chosen, tmp_path, suffix):
    path = tmp_path / f"best{suffix}"
    written = write_export(exported, None, path)
    found, content = load_export(path)
    assert (found, content) == (chosen, written)
    shape = chosen.backbone.input_shape
    assert same_network(build(found, seed=5), build(chosen, seed=5), shape)
    assert not same_network(build(found, seed=6), build(chosen, seed=5), shape)


def test_an_export_says_all_about_its_trial(exported, values):
    content = export(exported, 0)
    stamp = content["provenance"].pop("exported")
    versions = content["provenance"].pop("versions")
    assert content == {
        "version": 2,
        "plugins": [],
        "backbone": values["facts"]["backbone"],
        "decisions": [
            {"kind": "attention", "stage": "layer1"},
            {"kind": "attention", "stage": "layer2"},
            {"kind": "attention", "stage": "layer3"},
        ],
        "architecture": OPTIONS,
        "identity_start": False,
        "widths": {"layer3": [[8]]},  # 64 channels, ratio 8; ECA has no width
        "metrics": {
            "accuracy": {"value": 0.5},
            "latency_ms": {"value": 2, "interval": [1.9, 3.1]},
        },
        "constraints": {"latency_ms": "<= 1.15x"},
        "violations": {},
        "device": values["facts"]["device"],
        "data": values["facts"]["data"],
        "task": {"name": "classification"},
        "recipe": values["facts"]["recipe"],
        "start": {"key": "init", "value": "scratch"},
        "provenance": {
            "run": "small",
            "trial": 0,
            "state": "complete",
            "epochs": 6,
            "strategy": {"name": "random"},
            "seed": 3,
            "seeds": [3],
            "trained": "2026-01-31T10:00:00+00:00",
        },
    }
    assert stamp.endswith("+00:00")
    assert versions["torch"] == torch.__version__


def test_what_is_not_finite_is_left_out_of_an_export(run, trial):
    unknown = trial(
        0,
        state="failed",
        metrics={"accuracy": math.nan, "params": np.int64(7)},
        intervals={"params": (math.nan, 1.0)},
    )
    run.append(unknown)
    assert export(run, unknown)["metrics"] == {"params": {"value": 7}}


def test_the_best_trial_is_exported_unless_another_is_asked_for(filled):
    assert export(filled)["provenance"]["trial"] == 1
    assert export(filled, filled.trials[4])["provenance"]["trial"] == 4


def test_only_a_trial_that_there_is_can_be_exported(run, filled):
    for number in (5, -1):
        with pytest.raises(InputError) as caught:
            export(filled, number)
        assert (
            str(caught.value) == f"{filled.folder}: the run has no trial {number}. It has 0 to 4."
        )


def test_the_suffix_must_be_known(exported, tmp_path):
    with pytest.raises(InputError) as caught:
        write_export(exported, None, tmp_path / "best.txt")
    assert str(caught.value) == (
        f"{tmp_path}/best.txt: the suffix says the format: .yaml, .yml, .json."
    )
    assert list(tmp_path.glob("best*")) == []


def test_a_folder_that_is_not_there_is_named(exported, tmp_path):
    with pytest.raises(AttnasError) as caught:
        write_export(exported, None, tmp_path / "no" / "best.yaml")
    assert "best.yaml" in str(caught.value)
    assert "cannot be written: No such file or directory." in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 3}, "version: the version 3 is unknown, this attnas reads those up to 2. "
         "Use the attnas that wrote it."),
        ({"version": None}, "version: is missing: this is no exported architecture."),
        ({"backbone": None}, "backbone: is missing."),
        ({"architecture": None}, "architecture: is missing."),
        ({"decisions": None}, "decisions: must be a list of decisions."),
        ({"decisions": {"layer1": "attention"}}, "decisions: must be a list of decisions."),
        ({"decisions": [{"kind": "atention"}]}, "decisions: unknown kind of decision 'atention'. "
         "Did you mean 'attention'?"),
        ({"identity_start": None}, "identity_start: is missing."),
        ({"architecture": ["none"]}, "architecture: must be a mapping, not ['none']."),
        ({"identity_start": 1}, "identity_start: must be true or false, not 1."),
        ({"architecture": {**OPTIONS, "layer3": "se:8"}}, "architecture.layer3: cannot read the "
         "option 'se:8'. Write 'none', 'eca@post' or 'se:r8@residual'."),
        ({"architecture": {"layer1": "none"}}, "architecture: options are given for layer1; the "
         "decisions are layer1, layer2, layer3."),
    ],
)  # fmt: skip
def test_a_wrong_export_is_refused_with_file_and_key(exported, tmp_path, change, said):
    changed = {key: v for key, v in (export(exported) | change).items() if v is not None}
    path = tmp_path / "best.yaml"
    path.write_text(yaml.safe_dump(changed))
    with pytest.raises(InputError) as caught:
        load_export(path)
    assert str(caught.value) == f"{path}: {said}"


def test_a_wrong_backbone_is_refused_with_file_and_key(exported, tmp_path):
    path = tmp_path / "best.json"
    path.write_text(json.dumps(export(exported) | {"backbone": {"name": "resnet_cifar"}}))
    with pytest.raises(InputError) as caught:
        load_export(path)
    assert (caught.value.file, caught.value.key) == (str(path), "backbone")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("best.yaml", "a: [", "is not valid: while parsing a flow node"),
        ("best.json", "{", "is not valid: Expecting property name"),
        ("best.yaml", "- 1", "is no exported architecture: not a mapping."),
        ("best.yaml", None, "there is no such file."),
    ],
)
def test_a_file_that_is_no_export_is_refused(tmp_path, name, content, said):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError) as caught:
        load_export(path)
    assert str(caught.value).startswith(f"{path}: {said}")
