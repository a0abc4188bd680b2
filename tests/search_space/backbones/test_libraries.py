"""Networks of timm, torchvision and transformers by one name, small ones at 64 pixels."""

import pytest
import torch
from torch import nn

from attnas.core import InputError
from attnas.search_space import (
    Architecture,
    Backbone,
    SearchSpace,
    build,
    make_backbone,
    stage_decisions,
)

KEY = "search_space.backbone"


def backbone(libraries, library, model, channels=3, side=64, **arguments):
    libraries(library)
    return make_backbone(
        libraries={library: model},
        arguments=arguments,
        input_shape=(channels, side, side),
        output_shape=(5,),
    )


def starts_as_the_plain_network(found, option):
    decisions = stage_decisions(found)
    plain = Architecture.plain(found, decisions)
    texts = [option if d.placed(option, found) else d.plain(found) for d in decisions]
    assert texts != list(plain.options)
    one = build(plain, seed=0).eval()
    other = build(Architecture.read(found, decisions, texts), seed=0).eval()
    x = torch.randn(2, *found.input_shape)
    return torch.allclose(one(x), other(x), atol=1e-5)


def test_the_se_of_a_mobilenet_can_be_kept_taken_away_or_replaced(libraries):
    found = backbone(libraries, "timm", "mobilenetv3_small_100", channels=1)
    space = SearchSpace.create(
        found,
        blocks=["keep", "none", "eca"],
        ratios=[],
        placements=["attention"],
        per="unit",
    )
    decided = [name for name in space.names if len(space.options_of(name)) == 3]
    assert len(decided) == 9  # each of its SE
    assert space.size == 3**9

    def modules(options):
        made = build(space.architecture({**space.plain.by_name, **options}), seed=0)
        assert made(torch.zeros(2, 1, 64, 64)).shape == (2, 5)
        return [type(module).__name__ for module in made.modules()]

    assert modules({}).count("SqueezeExcite") == 9
    assert modules({"stage1.0": "none"}).count("SqueezeExcite") == 8
    changed = modules({"stage1.0": "none", "stage3.2": "eca@attention"})
    assert changed.count("SqueezeExcite") == 7


def test_channels_of_a_swin_come_last_and_those_of_a_convnext_first(libraries):
    swin = backbone(libraries, "torchvision", "swin_t")
    layouts = {str(site.layout) for site in swin.sites("stage2")[0].values()}
    assert layouts == {"nhwc"}
    site = swin.sites("stage2")[0]["post"]
    assert (site.channels, site.height, site.width) == (192, 8, 8)
    assert starts_as_the_plain_network(swin, "se:r16@residual")
    convnext = backbone(libraries, "timm", "convnext_atto")
    site = convnext.sites("stage2")[0]["residual"]
    assert (str(site.layout), site.channels, site.height) == ("nchw", 80, 8)
    assert starts_as_the_plain_network(convnext, "se:r16@residual")


def test_a_vit_is_made_for_the_image_and_its_class_token_is_left_alone(libraries):
    found = backbone(libraries, "timm", "vit_tiny_patch16_224")
    assert found.stage_names == ("blocks",)
    site = found.sites("blocks")[0]["residual"]
    assert (str(site.layout), site.channels, site.height) == ("tokens+1", 192, 4)
    assert len(found.units("blocks")) == 11  # of the last one only the class token is used
    assert starts_as_the_plain_network(found, "cbam:r16@residual")


def test_a_classifier_of_transformers_gives_its_scores(libraries):
    tiny = {"hidden_sizes": [16, 24], "depths": [1, 2], "embedding_size": 8}
    found = backbone(libraries, "transformers", "resnet", channels=1, **tiny, layer_type="basic")
    assert found.network()(torch.zeros(2, 1, 64, 64)).shape == (2, 5)
    assert [len(found.units(stage)) for stage in found.stage_names] == [1, 2]
    assert Backbone.from_dict(found.to_dict()) == found


def test_a_classifier_of_torchvision_takes_the_channels_of_the_data(libraries):
    found = backbone(libraries, "torchvision", "squeezenet1_1", channels=4)
    assert found.network().eval()(torch.zeros(1, 4, 64, 64)).shape == (1, 5)


def test_weights_from_a_file_are_loaded_but_for_another_head(libraries, tmp_path):
    timm = libraries("timm")
    trained = timm.create_model("test_resnet", num_classes=7)
    state = {f"module.{name}": tensor for name, tensor in trained.state_dict().items()}
    file = tmp_path / "trained.pt"
    torch.save({"state_dict": state, "epoch": 3}, file)
    found = backbone(libraries, "timm", "test_resnet", weights=str(file))
    network = found.network()
    own = network.state_dict()
    kept = {name for name, tensor in trained.state_dict().items() if name in own
            and torch.equal(tensor, own[name])}  # fmt: skip
    assert set(own) - kept == {"fc.weight", "fc.bias"}
    torch.save(nn.Linear(2, 2).state_dict(), file)
    with pytest.raises(InputError, match=r"has 0 of the .* parameters of the ResNet"):
        found.network()
    torch.save(trained, file)
    with pytest.raises(InputError, match="holds no weights alone"):
        found.network()
    with pytest.raises(InputError, match=r"backbone\.weights: there is no file 'none\.pt'"):
        backbone(libraries, "timm", "test_resnet", weights="none.pt")


def test_a_model_that_is_not_there_is_refused_with_the_nearest(libraries):
    with pytest.raises(InputError) as caught:
        backbone(libraries, "timm", "mobilenetv3_smal_100")
    assert str(caught.value).startswith(
        f"{KEY}.timm: unknown model of timm 'mobilenetv3_smal_100'. Did you mean "
        "'mobilenetv3_small_100'?"
    )
    with pytest.raises(InputError, match="unknown model of torchvision 'resnet19'"):
        backbone(libraries, "torchvision", "resnet19")


def test_a_library_that_is_not_installed_is_said(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(InputError) as caught:
        Backbone("timm/resnet18", (), (3, 64, 64), (5,)).network()
    assert str(caught.value) == (
        f"{KEY}.timm: cannot import timm: ModuleNotFoundError: import of timm halted; None in "
        "sys.modules. `pip install 'attnas[timm]'` installs it."
    )
    with pytest.raises(InputError, match="unknown library 'tim'"):
        Backbone("tim/resnet18", (), (3, 64, 64), (5,)).network()
