"""Architectures as Python modules, loaded in a process without this package."""

import json
from textwrap import dedent

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from attnas.core import InputError, hand_over, import_module
from attnas.search_space import (
    BLOCKS,
    Architecture,
    Argument,
    Attention,
    Backbone,
    Decision,
    Depth,
    Edit,
    block,
    build,
    make_backbone,
    python_module,
    register_decision,
    stage_decisions,
)

from ..without_attnas import run_without_attnas

COMPARE = """
differences = {}
for name in NAMES:
    case = importlib.import_module(name)
    from pathlib import Path
    kept = case.read_safetensors(f"{name}.expected.safetensors")
    with torch.inference_mode():
        found = case.network()(kept["inputs"])
    greatest = float((found - kept["outputs"]).abs().max() / kept["outputs"].abs().max())
    differences[name] = [greatest, "attnas" in sys.modules]
print(json.dumps(differences))
"""


def randomised(network):
    """Every weight and statistic drawn, so that nothing is zero, one or its start."""
    generator = torch.Generator().manual_seed(3)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            drawn = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(drawn + 0.5 if "var" in name else 0.4 * (drawn - 0.5))
    return network.eval()


def write_case(folder, name, architecture):
    """The module, its weights, and inputs with the outputs that it must give."""
    network = randomised(build(architecture, seed=0))
    state = {key: tensor.contiguous() for key, tensor in network.state_dict().items()}
    save_file(state, folder / f"{name}.safetensors")
    inputs = torch.randn(2, *architecture.backbone.input_shape)
    with torch.inference_mode():
        outputs = network(inputs)
    assert outputs.abs().max() > 1e-3
    save_file(
        {"inputs": inputs, "outputs": outputs.contiguous()},
        folder / f"{name}.expected.safetensors",
    )
    (folder / f"{name}.py").write_text(python_module(architecture, weights=f"{name}.safetensors"))


def check(folder, names, **settings):
    code = COMPARE.replace("NAMES", repr(list(names)))
    found = run_without_attnas(code, folder, **settings)
    assert found.keys() == set(names)
    assert all(difference <= 1e-5 for difference, _ in found.values()), found
    assert not any(loaded for _, loaded in found.values())


def ours(name, options, side=32, outputs=(4,), **arguments):
    backbone = make_backbone(
        name=name, arguments=arguments, input_shape=(3, side, side), output_shape=outputs
    )
    stages = backbone.stage_names
    given = {stage: options[min(i, len(options) - 1)] for i, stage in enumerate(stages)}
    return Architecture.read(backbone, stage_decisions(backbone), given)


def deciding_shape():
    backbone = Backbone("resnet_cifar", (("depth", 14), ("width", 8)), (1, 16, 16), (3,))
    decisions = (Argument("width"), Depth("layer2"), Attention("layer1", 1), Attention("layer3"))
    return Architecture.read(backbone, decisions, ["12", "1", "cbam:r4@post", "se:r4@pre"])


def test_our_networks_are_the_same_without_this_package(tmp_path):
    cases = {
        "small": ours("resnet_cifar", ["se:r4@residual", "none", "halo:r2@block"][:2], depth=8),
        "mixers": ours("resnet", ["sra:r2@replace", "cbam:r8@identity", "gc:r4@post"], depth=50),
        "mobile": ours("mobilenetv2", ["eca@expanded", "scse:r4@post", "none"], width=0.35),
        "masks": ours("unet", ["scse:r2@post", "none"], 16, (4, 16, 16), width=4, levels=2),
        "units": ours("resnet_cifar", ["none", "window@block"], side=16, depth=8),
        "shapes": deciding_shape(),
    }
    for name, architecture in cases.items():
        write_case(tmp_path, name, architecture)
    check(tmp_path, cases)


OWN = """
    import torch
    from torch import nn


    class Unit(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(channels, channels, 3, 1, 1), nn.BatchNorm2d(channels)

        def forward(self, x):
            return (x + self.norm(self.conv(x))).relu()


    def network(classes, in_channels, width=8):
        return nn.Sequential(
            nn.Conv2d(in_channels, width, 3, 2, 1),
            nn.Sequential(Unit(width), Unit(width)),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes),
        )
"""


@pytest.fixture
def own_network(own_module, tmp_path):
    """The name of a factory in a file of the working directory."""
    name = own_module("")
    (tmp_path / f"{name}.py").write_text(dedent(OWN))
    return f"{name}:network"


def test_a_network_of_ones_own_is_imported_and_changed_at_its_module_paths(own_network, tmp_path):
    sites = {"post": {"after": ""}, "residual": {"after": "norm"}, "replace": {"replace": "conv"}}
    backbone = make_backbone(
        factory=own_network,
        arguments={"width": 16},
        stages={"only": {"units": ["1.*"], "sites": sites}},
        input_shape=(3, 16, 16),
        output_shape=(4,),
    )
    for name, option in (("gates", "se:r4@residual"), ("mixers", "sra:r2@replace")):
        read = Architecture.read(backbone, (Attention("only"),), [option])
        write_case(tmp_path, name, read)
    check(tmp_path, ["gates", "mixers"])
    module, _, function = own_network.partition(":")
    assert (
        f"from {module} import {function} as {function}_{module}"
        in (tmp_path / "gates.py").read_text()
    )


def test_a_block_that_a_plugin_registers_is_copied(own_module, own_registers, tmp_path):
    name = own_module("""
        from attnas.search_space import hidden_width, register_block

        FACTOR = 0.5

        def scale(x):
            return FACTOR * x

        @register_block("halver", ratios=(2, 4))
        class Halver(nn.Module):
            def __init__(self, channels, ratio, *, identity_start=False):
                super().__init__()
                self.inner = nn.Conv2d(channels, hidden_width(channels, ratio), 1)
                self.outer = nn.Conv2d(hidden_width(channels, ratio), channels, 1)

            def forward(self, x):
                return x + scale(self.outer(self.inner(x)))

            @staticmethod
            def params(channels, height, width, ratio):
                hidden = hidden_width(channels, ratio)
                return 2 * channels * hidden + hidden + channels
    """)
    import_module(name, key="plugins")
    write_case(tmp_path, "plugged", ours("resnet_cifar", ["halver:r4@residual"], side=16))
    (tmp_path / f"{name}.py").unlink()  # it needs this package
    check(tmp_path, ["plugged"])


def of_library(library, model, option, channels=3, side=64, **arguments):
    backbone = make_backbone(
        libraries={library: model},
        arguments=arguments,
        input_shape=(channels, side, side),
        output_shape=(5,),
    )
    decisions = stage_decisions(backbone)
    texts = []
    for decision in decisions:
        placed = decision.placed(option, backbone) if "@" in option else decision.present(backbone)
        texts.append(option if placed else decision.plain(backbone))
    assert option in texts
    return Architecture.read(backbone, decisions, texts)


VIT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


@pytest.mark.parametrize(
    ("library", "cases"),
    [
        ("torchvision", {
            "replaced": ("mobilenet_v3_small", "se:r4@attention", 3),
            "removed": ("mobilenet_v3_small", "none", 1),
            "mixed": ("resnet18", "sra:r2@replace", 3),
        }),
        ("timm", {
            "replaced": ("mobilenetv3_small_050", "eca@attention", 3),
            "tokens": ("vit_tiny_patch16_224", "se:r4@post", 3),
            "last": ("swin_tiny_patch4_window7_224", "eca@post", 1),
        }),
    ],
)  # fmt: skip
def test_models_of_libraries_need_their_library_alone(libraries, tmp_path, library, cases):
    libraries(library)
    for name, (model, option, channels) in cases.items():
        write_case(tmp_path, name, of_library(library, model, option, channels))
    check(tmp_path, cases)


def test_models_of_transformers_need_their_library_alone(libraries, tmp_path):
    libraries("transformers")
    folder = tmp_path / "kept"
    import transformers

    transformers.ViTConfig(**VIT, image_size=32, patch_size=8).save_pretrained(folder)
    kind = of_library("transformers", "vit", "se:r4@post", side=32, patch_size=8, **VIT)
    write_case(tmp_path, "kind", kind)
    kept = of_library("transformers", str(folder), "eca@post", side=32)
    write_case(tmp_path, "kept_folder", kept)
    (folder / "config.json").unlink()  # what it says is written into the module
    check(tmp_path, ["kind", "kept_folder"], blocked=("attnas",))  # it reads safetensors itself


def test_every_block_is_the_same_as_source():
    """In this process, which is faster: that nothing of ours is imported is seen in the text."""
    for name in BLOCKS:
        found = block(name)
        side = 32 if found.legal(64, 8, 8, next(iter(found.ratios), None)) else 56
        ratio = f":r{found.ratios[0]}" if found.ratios else ""
        placement = {"gate": "residual", "mixer": "replace", "unit": "block"}[found.kind]
        backbone = Backbone("resnet_cifar", (("depth", 8), ("width", 16)), (3, side, side), (4,))
        options = {"layer1": "none", "layer2": "none", "layer3": f"{name}{ratio}@{placement}"}
        for start in (False, True):
            read = Architecture.read(backbone, stage_decisions(backbone), options, start)
            text = python_module(read)
            assert "attnas" not in text.partition('"""\n\nfrom')[2]
            namespace = {"__name__": "copied", "__file__": "copied.py"}
            exec(compile(text, f"{name}.py", "exec"), namespace)
            inputs = torch.randn(2, 3, side, side)
            one = randomised(build(read, seed=5))
            other = namespace["network"](seed=5)
            again = namespace["network"](seed=5).state_dict()
            expected = build(read, seed=5).state_dict()
            assert all(torch.equal(again[key], tensor) for key, tensor in expected.items()), name
            other.load_state_dict(one.state_dict())
            with torch.inference_mode():
                assert torch.equal(one(inputs), other.eval()(inputs)), name


def test_the_module_says_classes_and_prepares_inputs(tmp_path):
    architecture = ours("resnet_cifar", ["none"], side=8)
    text = python_module(
        architecture, classes=["cat", "dog"], normalisation=([1.0, 2.0, 3.0], [2.0, 4.0, 8.0])
    )
    namespace = {"__name__": "copied", "__file__": "copied.py"}
    exec(compile(text, "copied.py", "exec"), namespace)
    assert namespace["CLASSES"] == ("cat", "dog")
    images = torch.full((1, 3, 2, 2), 9, dtype=torch.uint8)
    assert namespace["prepare"](images)[0, :, 0, 0].tolist() == [4.0, 1.75, 0.75]
    assert namespace["WEIGHTS"] is None
    assert namespace["network"]().training  # random weights are there to be trained
    assert "def prepare" not in python_module(architecture)


def test_an_object_that_was_handed_over_cannot_be_imported():
    name = hand_over(lambda: nn.Flatten(), "0" * 16, "network")
    architecture = Architecture(Backbone(name, (), (3, 8, 8), ()), (), ())
    with pytest.raises(InputError, match="was handed over as an object, which a Python module"):
        python_module(architecture)


def test_what_a_decision_of_ones_own_makes_may_have_no_source(own_registers):
    from dataclasses import dataclass

    @register_decision("activation")
    @dataclass(frozen=True)
    class Activation(Decision):
        name: str

        def plain(self, backbone):
            return "relu"

        def edits(self, option, backbone):
            return (Edit("at", "layer1.0.post", option, lambda start: nn.SiLU()),)

    backbone = Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (3, 8, 8), (2,))
    architecture = Architecture(backbone, (Activation("act"),), ("silu",))
    with pytest.raises(InputError, match=r"'layer1.0.post' has no source that could be written"):
        python_module(architecture)


def test_an_option_of_any_text_stays_in_the_docstring():
    backbone = Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (3, 8, 8), (2,))
    hostile = '''8\\ # """\nraise SystemExit\n"""'''
    architecture = Architecture(backbone, (Argument("width"),), ("8",))
    object.__setattr__(architecture, "options", (hostile,))
    architecture.__dict__["variant"] = backbone
    architecture.__dict__["edits"] = ()
    text = python_module(architecture)
    namespace = {"__name__": "copied", "__file__": "copied.py"}
    exec(compile(text, "copied.py", "exec"), namespace)
    assert "raise SystemExit" in namespace["__doc__"]


def test_the_title_names_every_decision():
    text = python_module(deciding_shape())
    assert json.dumps(text.splitlines()[2:6]) == json.dumps(
        ["width: 12", "layer2.depth: 1", "layer1.1: cbam:r4@post", "layer3: se:r4@pre"]
    )
