"""Configs that `attnas init` writes for what a user has."""

import numpy as np
import pytest
import yaml
from PIL import Image

from attnas.config import load_config
from attnas.entry import run_command


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTNAS_CACHE", str(tmp_path / "cache"))
    return tmp_path


def photos(folder, classes=("cat", "dog"), count=10, size=(48, 40), grey=False):
    rng = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(count):
            shape = size if grey else (*size, 3)
            pixels = rng.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


def init(*arguments):
    return run_command(["init", "my.yaml", *map(str, arguments)])


def test_a_folder_of_photos_gives_a_config_that_inspect_takes(here, capsys):
    photos(here / "photos")
    assert init("--folder", "photos") == 0
    said = capsys.readouterr().err
    text = (here / "my.yaml").read_text()
    for note in (
        "20 images of 2 classes: cat (10), dog (10).",
        "Images are all 40 x 48; they are scaled to 40 x 40 (data.image_size).",
        "A fifth of the images each is set apart for validation and test.",
        "About 4 test images tell apart only large differences",
    ):
        assert note in said
        assert f"# {note}" in text
    config = load_config("my.yaml")
    assert config.data.options == {"image_size": 40}
    assert config.constraints == {"latency_ms": "<= 1.15x"}
    assert config.baselines == ["se:r16@residual", "eca@residual"]
    for line in text.splitlines()[6:]:  # a newcomer sees what every entry means
        assert "#" in line, line
    assert run_command(["inspect", "my.yaml"]) == 0
    assert "layer3:  # 1 unit" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("size", "side", "network"),
    [
        ((28, 28), 28, {"name": "resnet_cifar", "depth": 8}),
        ((100, 150), 96, {"name": "resnet", "depth": 18}),
        ((300, 600), 224, {"name": "resnet", "depth": 18}),
    ],
)
def test_size_and_network_fit_the_images(here, size, side, network):
    photos(here / "photos", count=3, size=size)
    assert init("--folder", "photos") == 0
    content = yaml.safe_load((here / "my.yaml").read_text())
    assert content["data"]["image_size"] == side
    assert content["search_space"]["backbone"] == network


def test_parts_that_the_folder_sets_apart_are_said(here, capsys):
    for part, count in (("train", 5), ("val", 2), ("test", 2)):
        photos(here / "photos" / part, count=count)
    assert init("--folder", "photos") == 0
    said = capsys.readouterr().err
    assert "10 images of 2 classes" in said
    assert "The folder sets validation and test apart." in said


@pytest.mark.parametrize(
    ("library", "model", "blocks", "placements"),
    [
        ("timm", "mobilenetv3_small_050", ["keep", "none", "eca", "se"], ["attention"]),
        ("torchvision", "resnet18", ["none", "se", "eca", "cbam"], ["residual"]),
    ],
)
def test_a_model_of_a_library_gets_what_it_can_decide(
    libraries, here, capsys, library, model, blocks, placements
):
    libraries(library)
    photos(here / "photos", size=(64, 64), grey=True)
    assert init("--folder", "photos", f"--{library}", model) == 0
    space = yaml.safe_load((here / "my.yaml").read_text())["search_space"]
    assert space["backbone"] == {library: model, "pretrained": False}
    assert (space["blocks"], space["placements"]) == (blocks, placements)
    assert ("per" in space) == (placements == ["attention"])
    capsys.readouterr()
    assert run_command(["inspect", "my.yaml"]) == 0
    assert f"{library}/{model}" in capsys.readouterr().out


def test_without_photos_their_place_is_said(libraries, here, capsys):
    libraries("timm")
    assert init("--timm", "mobilenetv3_small_050", "--pretrained") == 0
    content = yaml.safe_load((here / "my.yaml").read_text())
    assert content["data"] == {"source": "folder", "path": "photos", "image_size": 224}
    assert content["search_space"]["backbone"]["pretrained"] is True
    assert "Put a folder with one folder of images per class where data.path says." in (
        capsys.readouterr().err
    )
    photos(here / "photos", size=(32, 32))
    assert run_command(["inspect", "my.yaml", "--set", "search_space.backbone.pretrained=no"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--folder", "photo"], "--folder: there is no folder 'photo'. Did you mean 'photos'?"),
        (["--folder", "photos/cat"], "--folder: 'photos/cat' has no class folders. It has 10 "
         "images: put those of each class into a folder of its own, photos/cat/cat/0.png."),
        (["--folder", "note.txt"], "--folder: 'note.txt' is a file; a folder of class folders"),
        (["--folder", "empty"], "--folder: the class folder 'empty/one' has no images."),
        (["--folder", "broken"], "--folder: none of the images in 'broken' can be read."),
        (["--pretrained"], "--pretrained: name the model that has the weights"),
        (["--timm", "a", "--torchvision", "b"], "--timm: give either --timm or --torchvision."),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_message(here, capsys, arguments, message):
    photos(here / "photos")
    (here / "note.txt").write_text("-")
    (here / "empty" / "one").mkdir(parents=True)
    (here / "broken" / "one").mkdir(parents=True)
    (here / "broken" / "one" / "0.png").write_text("no image")
    assert init(*arguments) == 2
    assert message in capsys.readouterr().err
    assert not (here / "my.yaml").exists()


@pytest.mark.parametrize(
    ("library", "wrong", "near"),
    [("timm", "mobilenetv3_smal_100", "mobilenetv3_small_100"), ("torchvision", "resnet19", None)],
)
def test_a_wrong_model_is_told_with_the_nearest(libraries, here, capsys, library, wrong, near):
    libraries(library)
    assert init(f"--{library}", wrong) == 2
    said = capsys.readouterr().err
    assert f"--{library}: unknown model of {library} '{wrong}'. Did you mean '" in said
    assert near is None or f"'{near}'?" in said
