import json

import numpy as np
import pytest

from attnas.core import InputError
from attnas.search_space import (
    SearchSpace,
    from_nni_json,
    make_backbone,
    to_nni_json,
)


@pytest.fixture(scope="module")
def backbone():
    arguments = {"depth": 8, "width": 8}
    return make_backbone(
        name="resnet_cifar", arguments=arguments, input_shape=(3, 8, 8), output_shape=(10,)
    )


@pytest.fixture(scope="module")
def space(backbone):
    return SearchSpace.create(
        backbone,
        blocks=("none", "se", "eca"),
        ratios=(4, 8),
        placements=("residual", "post"),
        stages={"layer2": {"choice": "se:r8@post"}, "layer3": {"blocks": ["none", "eca"]}},
        identity_start=False,
    )


def test_a_space_comes_back_as_it_was(space, backbone):
    written = json.loads(json.dumps(to_nni_json(space)))
    assert list(written) == ["layer1", "layer2", "layer3"]
    assert written["layer2"] == {"_type": "choice", "_value": ["se:r8@post"]}
    assert from_nni_json(written, backbone, identity_start=False) == space


@pytest.mark.parametrize("depth", [14, 8])
def test_a_space_with_other_decisions_comes_back_as_it_was(depth):
    arguments = {"depth": depth, "width": 8}
    backbone = make_backbone(
        name="resnet_cifar", arguments=arguments, input_shape=(3, 8, 8), output_shape=(10,)
    )
    space = SearchSpace.create(
        backbone,
        blocks=("none", "se"),
        ratios=(2, 4),  # of 8 channels the same
        placements=("residual", "post"),
        per="unit",
        arguments={"width": [8, 16], "depth": [8, 14]},
        depth=[1, 2],
    )
    written = json.loads(json.dumps(to_nni_json(space)))
    assert written["width"] == {"_type": "choice", "_value": ["8", "16"]}
    assert written["layer1.depth"] == {"_type": "choice", "_value": ["1", "2"]}
    assert len(written["layer1.1"]["_value"]) == 1 + 2 * 2
    assert from_nni_json(written, backbone, space.decisions) == space


def test_what_can_be_placed_on_no_variant_is_refused(backbone):
    space = SearchSpace.create(
        backbone,
        blocks=("none",),
        ratios=(),
        placements=("post",),
        per="unit",
        arguments={"depth": [8, 14]},
    )
    written = to_nni_json(space)
    read = from_nni_json(
        {**written, "layer1.1": {"_type": "choice", "_value": ["eca@post"]}},
        backbone,
        space.decisions,
    )
    assert read.options_of("layer1.1") == ("eca@post",)
    with pytest.raises(InputError) as caught:
        from_nni_json(
            {
                **written,
                "depth": {"_type": "choice", "_value": ["8"]},
                "layer1.1": {"_type": "choice", "_value": ["none", "eca@post"]},
            },
            backbone,
            space.decisions,
        )
    assert str(caught.value) == (
        "layer1.1._value[1]: the option 'eca@post' cannot be placed in layer1.1."
    )


def test_spellings_of_one_network_are_one_option(backbone):
    both = {"_type": "choice", "_value": ["se:r8@residual", "cse:r8@residual", "none"]}
    read = from_nni_json({"layer1": both, "layer2": both, "layer3": both}, backbone)
    assert read.options_of("layer1") == ("se:r8@residual", "none")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"layer4": {}}, "layer4: unknown decision 'layer4'. Did you mean 'layer3'?"),
        (
            {"layer1": {"_type": "uniform", "_value": [0, 1]}},
            "layer1: must be of the type 'choice', such as "
            '{"_type": "choice", "_value": ["none"]}.',
        ),
        (
            {"layer1": {"_type": "choice", "_value": []}},
            "layer1._value: must be a list of options, with one at least.",
        ),
        (
            {"layer1": {"_type": "choice", "_value": ["none", 3]}},
            "layer1._value[1]: must be an option as a string, such as 'se:r8@residual', not 3.",
        ),
        (
            {"layer1": {"_type": "choice", "_value": ["eca@expanded"]}},
            "layer1._value[0]: the option 'eca@expanded' cannot be placed in layer1.",
        ),
        (
            {"layer1": None},
            'layer1: is missing. Write {"_type": "choice", "_value": ["none"]} for no attention '
            "there.",
        ),
    ],
)
def test_what_is_no_space_of_the_backbone_is_refused_with_its_place(
    space, backbone, change, problem
):
    with pytest.raises(InputError) as caught:
        from_nni_json({**to_nni_json(space), **change}, backbone)
    assert str(caught.value) == problem


def test_what_is_no_object_is_refused(backbone):
    with pytest.raises(InputError) as caught:
        from_nni_json([], backbone)
    assert str(caught.value) == "must be an object with one entry per decision."


def test_a_tuner_of_nni_takes_it_and_proposes_options_of_it(space):
    tuners = pytest.importorskip("nni.algorithms.hpo.tpe_tuner")
    tuner = tuners.TpeTuner(seed=int(np.random.default_rng(0).integers(99)))
    tuner.update_search_space(to_nni_json(space))
    for number in range(5):
        assert space.architecture(tuner.generate_parameters(number)) in space
