import pytest
import torch

from attnas.core import InputError
from attnas.search_space import Backbone, Insertion, StagePattern, make_backbone

OWN = """
class Two(nn.Module):
    def __init__(self, sizes, classes=2):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, sizes[0], 3), nn.Conv2d(*sizes, 3))
        self.head = nn.Linear(sizes[1], classes)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))
"""
STAGES = {"body": {"units": ["body.*"], "sites": {"post": {"after": ""}}}}
IMAGES = {"input_shape": (1, 8, 8), "output_shape": (5,)}


def message(**arguments):
    with pytest.raises(InputError) as caught:
        make_backbone(**{"arguments": {}, **IMAGES, **arguments})
    return str(caught.value)


def test_one_of_ours_has_all_arguments_with_their_defaults():
    expected = Backbone("resnet_cifar", (("depth", 8), ("width", 16)), (1, 8, 8), (5,))
    assert expected.stages == ()
    for arguments in ({}, {"depth": 8}, {"width": 16, "depth": 8}):
        assert make_backbone(name="resnet_cifar", arguments=arguments, **IMAGES) == expected


def test_a_network_of_ones_own_has_the_stages_that_its_description_gives(own_module):
    name = f"{own_module(OWN)}:Two"
    backbone = make_backbone(factory=name, arguments={"sizes": [3, 4]}, stages=STAGES, **IMAGES)
    stages = (StagePattern("body", ("body.*",), (("post", Insertion("after", "")),)),)
    assert backbone == Backbone(name, (("sizes", (3, 4)),), (1, 8, 8), (5,), stages)
    assert backbone.stage_names == ("body",)
    sites = [unit["post"] for unit in backbone.sites("body")]
    assert [(s.path, s.channels, s.height) for s in sites] == [("body.0", 3, 6), ("body.1", 4, 4)]


def test_making_a_backbone_moves_no_generator(own_module):
    name = f"{own_module(OWN)}:Two"
    state = torch.get_rng_state()
    make_backbone(factory=name, arguments={"sizes": [3, 4]}, stages=STAGES, **IMAGES)
    assert torch.equal(torch.get_rng_state(), state)


def test_what_does_not_describe_a_network_is_refused():
    key = "search_space.backbone"
    either = (
        "give one of 'name' (one of ours), 'factory' (your own), 'timm', 'torchvision', "
        "'transformers'."
    )
    assert message() == f"{key}: {either}"
    assert message(name="resnet", factory="a:b") == f"{key}: {either}"
    assert message(name="a:b") == f"{key}.name: 'a:b' is a function. Write it as 'factory'."
    assert message(factory="resnet") == (
        f"{key}.factory: cannot read 'resnet'. Write 'package.module:function'."
    )
    assert message(name="resnet", stages=STAGES) == (
        f"{key}.stages: resnet describes its stages itself."
    )
    assert message(name="resnt") == (
        f"{key}.name: unknown backbone 'resnt'. Did you mean 'resnet'?"
    )
    assert message(name="resnet", arguments={"depth": 19}) == (
        f"{key}.depth: must be 18, 34 or 50, not 19."
    )


def test_a_description_that_does_not_fit_the_network_is_refused(own_module):
    own = {"factory": f"{own_module(OWN)}:Two", "arguments": {"sizes": [3, 4]}}
    key = "search_space.backbone"
    assert message(**own, stages={"body": {**STAGES["body"], "units": ["boddy.*"]}}) == (
        f"{key}.stages.body.units[0]: the network has no module 'boddy.*'. Did you mean 'body.1', "
        "'body.0' or 'body'?"
    )
    assert message(**own, stages={"body": {**STAGES["body"], "units": ["head"]}}) == (
        f"{key}.stages.body.sites.post: a block at the module 'head' gets a tensor of shape "
        "(1, 5); it needs one of shape (N, C, H, W), (N, H, W, C), (N, L, C) or (N, C, T)."
    )
    own["arguments"]["classes"] = 7
    assert message(**own, stages=STAGES) == (
        f"{key}.factory: the network returns shape (1, 7) for one image. It must give one score "
        "for each of the 5 classes of the data, (N, 5)."
    )
    own["arguments"]["sizes"] = [{"a": 1}]
    assert message(**own, stages=STAGES) == (
        f"{key}.arguments.sizes[0]: an argument is a number, a string, true, false, null or a list "
        "of those, not {'a': 1}."
    )


def test_units_that_come_with_an_argument_are_found_by_the_description(own_module):
    """Globs describe every variant of the network."""
    name = own_module(
        """
        class Deep(nn.Module):
            def __init__(self, depth, classes):
                super().__init__()
                self.body = nn.Sequential(*(nn.Conv2d(1, 1, 1) for _ in range(depth)))
                self.head = nn.Linear(1, classes)

            def forward(self, x):
                return self.head(self.body(x).mean((2, 3)))
        """
    )
    backbone = make_backbone(
        factory=f"{name}:Deep", arguments={"depth": 2}, stages=STAGES, **IMAGES
    )
    deeper = backbone.with_arguments({"depth": 12})
    assert [unit.path for unit in deeper.units("body")] == [f"body.{i}" for i in range(12)]
    assert [len(b.units("body")) for b in (backbone, deeper)] == [2, 12]
