import importlib
import pkgutil

import pytest
from torch import nn

from attnas.core import InputError
from attnas.search_space import BACKBONES, backbones, register_backbone
from attnas.search_space.backbones.registry import construct, default_arguments


def plain(*, classes: int, in_channels: int, depth: int = 3) -> nn.Module:
    return nn.Linear(in_channels * depth, classes)


def made(name, arguments=None, classes=10):
    return construct(name, arguments or {}, classes=classes, input_shape=(1, 8, 8))


def message(name, arguments=None):
    with pytest.raises(InputError) as caught:
        made(name, arguments)
    return str(caught.value)


def test_the_backbones_of_the_folder_are_registered():
    names = ["mobilenetv2", "resnet", "resnet_cifar", "unet"]
    assert list(BACKBONES) == names
    for module in pkgutil.iter_modules(backbones.__path__):  # whatever they register
        importlib.import_module(f"{backbones.__name__}.{module.name}")
    assert list(BACKBONES) == names
    assert BACKBONES.summary("unet") == (
        "A stage for each block of the U-Net, 2 `levels` + 1 in all."
    )


def test_the_arguments_that_a_config_may_set_have_defaults():
    assert default_arguments("resnet_cifar") == {"depth": 8, "width": 16}
    assert default_arguments("package.module:function") == {}


@pytest.mark.usefixtures("own_registers")
def test_a_registered_function_is_made_by_its_name():
    assert register_backbone("plain")(plain) is plain
    assert BACKBONES["plain"] is plain
    network = made("plain", {"depth": 5}, classes=4)
    assert (network.in_features, network.out_features) == (5, 4)


@pytest.mark.usefixtures("own_registers")
def test_a_name_is_given_to_one_function_only():
    register_backbone("plain")(plain)
    register_backbone("plain")(plain)
    with pytest.raises(ValueError, match="backbone") as caught:
        register_backbone("plain")(lambda *, classes, in_channels: nn.Identity())
    assert str(caught.value).startswith(
        f"backbone 'plain' is {__name__}.plain already; register {__name__}."
    )
    with pytest.raises(ValueError, match="backbone") as caught:
        register_backbone("resnet")(plain)
    assert str(caught.value) == (
        "backbone 'resnet' is attnas.search_space.backbones.resnet.resnet already; register "
        f"{__name__}.plain under another name"
    )


@pytest.mark.usefixtures("own_registers")
def test_a_function_without_the_datas_arguments_or_a_default_is_not_registered():
    with pytest.raises(ValueError, match="a default for each other: in_channels, depth"):
        register_backbone("odd")(lambda *, classes, depth: nn.Identity())


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        (
            "resnet_cifra",
            {},
            "search_space.backbone.name: unknown backbone 'resnet_cifra'. "
            "Did you mean 'resnet_cifar'?",
        ),
        (
            "resnet_cifar",
            {"dept": 8},
            "search_space.backbone.dept: unknown option of resnet_cifar 'dept'. "
            "Did you mean 'depth'?",
        ),
        (
            "resnet_cifar",
            {"depth": 9},
            "search_space.backbone.depth: must be 6n + 2 (8, 14, 20, 32, 56, ...), not 9.",
        ),
        (
            "resnet_cifar",
            {"depth": "8"},
            "search_space.backbone.depth: must be a whole number, not '8'.",
        ),
        (
            "resnet_cifar",
            {"width": True},
            "search_space.backbone.width: must be a whole number, not True.",
        ),
        (
            "mobilenetv2",
            {"width": None},
            "search_space.backbone.width: must be a number, not None.",
        ),
        (
            "resnet",
            {"classes": 5},
            "search_space.backbone.classes: 'classes' comes from the data. Leave it out.",
        ),
    ],
)
def test_what_a_registered_backbone_does_not_know_is_refused(name, arguments, expected):
    assert message(name, arguments) == expected


def test_a_network_too_large_for_memory_is_refused():
    assert message("resnet_cifar", {"width": 10**13}).startswith(
        "search_space.backbone: resnet_cifar cannot be made with {'width': 10000000000000}: "
    )


def test_a_whole_number_is_a_number():
    assert made("mobilenetv2", {"width": 1}).head[-1].in_features == 1280


def test_a_factory_gets_its_arguments_and_of_the_datas_only_those_it_names(own_module):
    name = own_module(
        """
        def both(sizes, classes, in_channels):
            assert type(sizes) is list
            return nn.Linear(in_channels + sum(sizes), classes)

        def neither(sizes, **others):
            assert others == {}
            return nn.Linear(sum(sizes), 2)
        """
    )
    network = made(f"{name}:both", {"sizes": [3, 4]}, classes=6)
    assert (network.in_features, network.out_features) == (8, 6)
    assert made(f"{name}:neither", {"sizes": [3, 4]}).in_features == 7
    assert made(f"{name}:both", {"sizes": [0], "classes": 3}).out_features == 3


def test_without_classes_a_factory_is_not_told_any(own_module):
    name = own_module("def make(classes=4, in_channels=9): return nn.Linear(in_channels, classes)")
    network = made(f"{name}:make", classes=None)
    assert (network.in_features, network.out_features) == (1, 4)


def test_a_factory_that_cannot_be_used_is_refused(own_module):
    name = own_module(
        """
        def make(width=4): return nn.Linear(width, 2)
        def wanting(depth, width): return nn.Linear(depth, width)
        def failing(): raise OSError("no weights at 'x.pt'")
        def other(): return {"weight": 1}
        """
    )
    key = "search_space.backbone"
    assert message(f"{name}:mkae") == (
        f"{key}.factory: '{name}' has no function 'mkae'. Did you mean 'make'?"
    )
    assert message(f"{name}:make", {"widht": 3}) == (
        f"{key}.arguments.widht: unknown argument of '{name}:make' 'widht'. Did you mean 'width'?"
    )
    assert message(f"{name}:wanting", {"width": 3}) == (
        f"{key}.arguments: '{name}:wanting' needs depth. Give it under 'arguments'."
    )
    assert message(f"{name}:failing") == (
        f"{key}.factory: '{name}:failing' raised OSError: no weights at 'x.pt'"
    )
    assert message(f"{name}:other") == (
        f"{key}.factory: '{name}:other' must return a torch.nn.Module, not a dict."
    )
    assert message(f"{name}:") == (
        f"{key}.factory: cannot read '{name}:'. Write 'package.module:function'."
    )


def test_a_module_that_cannot_be_imported_is_refused(own_module):
    broken = own_module("raise RuntimeError('no driver')")
    remedy = "It must be installed or lie in the working directory."
    assert message(f"{broken}:make") == (
        f"search_space.backbone.factory: cannot import '{broken}' of '{broken}:make': "
        f"RuntimeError: no driver. {remedy}"
    )
    assert message("no_such_module:make") == (
        "search_space.backbone.factory: cannot import 'no_such_module' of 'no_such_module:make': "
        f"ModuleNotFoundError: No module named 'no_such_module'. {remedy}"
    )
