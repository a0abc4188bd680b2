"""What the full training of an export begins with: what its search began with, or what is said."""

from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from attnas.entry import run_command
from attnas.results import Run, load_export, start_of
from attnas.search_loop import search
from attnas.search_space import Architecture, build
from attnas.starting_weights import backbone_weights, beginning

CONFIG = {
    "name": "digits",
    "data": {"source": "digits", "train": 200, "validation": 100, "test": 100},
    "search_space": {
        "backbone": {"name": "resnet_cifar", "depth": 8, "width": 8},
        "blocks": ["none", "eca"],
    },
    "objectives": {"accuracy": "max", "params": "min"},
    "training": {"epochs": 1},
    "budget": {"trials": 2},
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def data():
    from attnas.config import parse_config
    from attnas.problem import make_problem

    return make_problem(parse_config(CONFIG)).data


def plain_weights(path, seed=7):
    from attnas.search_space import Backbone

    backbone = Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (1, 8, 8), (10,))
    state = build(Architecture.plain(backbone), seed=seed).state_dict()
    save_file(state, path)
    return state


def exported(**changes):
    run = search({**CONFIG, **changes}, runs="runs")
    run.export("best.yaml", 1)
    return run


@pytest.fixture
def from_file(here):
    state = plain_weights("plain.safetensors")
    exported(init="plain.safetensors")
    return state


def test_an_export_says_what_its_search_began_with(from_file):
    document = yaml.safe_load(Path("best.yaml").read_text())
    start = document["start"]
    assert (start["key"], start["value"]) == ("init", "plain.safetensors")
    assert len(start["sha256"]) == 64
    assert start == start_of(Run.open("runs/digits"))


def test_training_goes_on_from_there(from_file, data):
    architecture, document = load_export("best.yaml")
    begun = beginning(document, architecture, data, file="best.yaml")
    network = begun.start.network(begun.architecture, 5).state_dict()
    assert all(torch.equal(network[name], tensor) for name, tensor in from_file.items())
    assert begun.text == "the weights in plain.safetensors"


@pytest.mark.parametrize("gone", [True, False])
def test_weights_that_are_gone_or_others_are_refused_with_the_way_out(from_file, capsys, gone):
    if gone:
        Path("plain.safetensors").rename("elsewhere.safetensors")
        said = "are gone: there is no plain.safetensors"
    else:
        plain_weights("plain.safetensors", seed=8)
        said = "plain.safetensors has other weights than those that the search began with"
    assert run_command(["train", "best.yaml", "--epochs", "1"]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "best.yaml: start: " in told
    assert "`--init FILE` names weights to begin with, `--from-scratch` begins with random" in told


def test_another_file_or_scratch_can_be_said(from_file, data, capsys):
    architecture, document = load_export("best.yaml")
    other = plain_weights("other.safetensors", seed=9)
    begun = beginning(document, architecture, data, file="best.yaml", init="other.safetensors")
    network = begun.start.network(begun.architecture, 5).state_dict()
    assert all(torch.equal(network[name], tensor) for name, tensor in other.items())
    begun = beginning(document, architecture, data, file="best.yaml", from_scratch=True)
    network = begun.start.network(begun.architecture, 5).state_dict()
    expected = build(architecture, seed=5).state_dict()
    assert all(torch.equal(network[name], tensor) for name, tensor in expected.items())
    assert run_command(["train", "best.yaml", "--epochs", "1", "--from-scratch"]) == 0
    assert "1 epoch from scratch." in capsys.readouterr().err
    asked = ["train", "best.yaml", "--from-scratch", "--init", "other.safetensors"]
    assert run_command(asked) == 2
    assert "--init: give either --init or --from-scratch." in capsys.readouterr().err
    assert run_command(["train", "best.yaml", "--init", "none.pt"]) == 2
    assert "--init: the weights that the training is to begin with are gone" in (
        capsys.readouterr().err
    )


def test_an_export_that_does_not_say_is_trained_from_scratch_with_a_word(from_file, capsys):
    document = yaml.safe_load(Path("best.yaml").read_text())
    del document["start"]
    with open("old.yaml", "w") as file:
        yaml.safe_dump(document, file)
    assert run_command(["train", "old.yaml", "--epochs", "1"]) == 0
    assert "from scratch (the export does not say what its search began with)" in (
        capsys.readouterr().err
    )


def test_what_the_weights_have_seen_is_passed_on(here, capsys):
    exported()
    for name, more in (("held", ["--hold-out-validation"]), ("all", [])):
        assert (
            run_command(["train", "best.yaml", "--epochs", "1", "-o", f"{name}.safetensors", *more])
            == 0
        )
    run = Run.open("runs/digits")
    run.export("plain.yaml", 0)
    assert run_command(["train", "plain.yaml", "--epochs", "1", "-o", "seen.safetensors"]) == 0
    asked = ["train", "best.yaml", "--epochs", "1", "--init", "seen.safetensors"]
    assert run_command([*asked, "--hold-out-validation", "--weights", "on.safetensors"]) == 0
    from attnas.evaluator import read_record

    assert read_record("on.safetensors")["trained_on"] == ["train", "validation"]
    config = {**CONFIG, "data": {**CONFIG["data"], "split_seed": 4}, "name": "split"}
    search(config, runs="runs").export("split.yaml", 1)
    assert run_command(["train", "split.yaml", "--init", "seen.safetensors"]) == 2
    assert "were trained on these data with other splits" in capsys.readouterr().err


def test_training_goes_on_from_the_supernet_of_the_search(here, data, capsys):
    strategy = {
        "name": "oneshot",
        "supernet_epochs": 1,
        "population": 2,
        "generations": 1,
        "check": 1,
        "targets": {"params": ["1.01x"]},
    }
    run = exported(strategy=strategy, init="supernet", budget={"trials": 3})
    start = start_of(run)
    assert (start["value"], start["options"]["layer1"]) == ("supernet", ["none", "eca@residual"])
    architecture, document = load_export("best.yaml")
    begun = beginning(document, architecture, data, file="best.yaml")
    network = begun.start.network(begun.architecture, 0).state_dict()
    scratch = build(architecture, seed=0).state_dict()
    assert network.keys() == scratch.keys()
    assert not torch.equal(network["head.2.weight"], scratch["head.2.weight"])
    with open(start["file"], "ab") as file:
        file.write(b"more")
    assert run_command(["train", "best.yaml", "--epochs", "1"]) == 2
    assert "the supernet of the search, has other weights" in capsys.readouterr().err


def test_a_librarys_weights_are_known_by_what_no_seed_changes(libraries, here, monkeypatch):
    timm = libraries("timm")
    from attnas.search_space import make_backbone

    def backbone(**arguments):
        return make_backbone(
            libraries={"timm": "mobilenetv3_small_050"}, arguments=arguments,
            input_shape=(3, 64, 64), output_shape=(5,),
        )  # fmt: skip

    assert backbone_weights(backbone()) is None
    original = timm.create_model

    def downloaded(name, pretrained=False, **keywords):
        """As if the library had trained weights of this scale; the head has none."""
        made = original(name, **keywords)
        if pretrained:
            with torch.no_grad():
                for key, parameter in made.named_parameters():
                    if not key.startswith("classifier"):
                        parameter.fill_(scale)
        return made

    monkeypatch.setattr(timm, "create_model", downloaded)
    scale = 0.5
    found = backbone(pretrained=True)
    digest = backbone_weights(found)
    assert digest == backbone_weights(found)
    scale = 0.25
    assert digest != backbone_weights(found)
    document = {"start": {"key": "search_space.backbone.pretrained", "value": True,
                          "sha256": digest}}  # fmt: skip
    architecture = Architecture.plain(found)
    with pytest.raises(Exception, match="has other weights than those that the search began"):
        beginning(document, architecture, None, file="best.yaml")
    scale = 0.5
    assert beginning(document, architecture, None, file="best.yaml").text == (
        "the library's trained weights"
    )
    scratch = beginning(document, architecture, None, file="best.yaml", from_scratch=True)
    assert dict(scratch.architecture.backbone.arguments) == {}


def test_a_file_of_a_librarys_model_must_be_the_same(libraries, here):
    timm = libraries("timm")
    from attnas.core import InputError
    from attnas.search_space import make_backbone

    torch.manual_seed(0)
    torch.save(timm.create_model("mobilenetv3_small_050").state_dict(), "net.pt")
    found = make_backbone(
        libraries={"timm": "mobilenetv3_small_050"}, arguments={"weights": "net.pt"},
        input_shape=(3, 64, 64), output_shape=(5,),
    )  # fmt: skip
    architecture, digest = Architecture.plain(found), backbone_weights(found)
    start = {"key": "search_space.backbone.weights", "value": "net.pt", "sha256": digest}
    begun = beginning({"start": start}, architecture, None, file="best.yaml")
    assert begun.text == "the weights in net.pt"
    torch.save({}, "net.pt")
    with pytest.raises(InputError, match=r"net\.pt has other weights"):
        beginning({"start": start}, architecture, None, file="best.yaml")
    (here / "net.pt").unlink()
    with pytest.raises(InputError, match=r"are gone: there is no net\.pt"):
        beginning({"start": start}, architecture, None, file="best.yaml")


def test_weights_are_written_where_they_are_asked_for(here):
    exported()
    assert run_command(["train", "best.yaml", "--epochs", "1", "--weights", "w.safetensors"]) == 0
    assert (
        load_file("w.safetensors").keys() == build(load_export("best.yaml")[0]).state_dict().keys()
    )
