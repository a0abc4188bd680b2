import pytest

from attnas.core import InputError
from attnas.search_space import Architecture, Attention, Backbone, SearchSpace, build

CIFAR = Backbone("resnet_cifar", (("depth", 14), ("width", 8)), (1, 8, 8), (3,))
MOBILE = Backbone("mobilenetv2", (("width", 0.35),), (1, 16, 16), (3,))
LAYER2, UNIT = Attention("layer2"), Attention("layer2", 1)


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_attention_is_named_after_its_stage_or_unit_and_plain_is_none():
    assert (LAYER2.name, LAYER2.key) == ("layer2", "stages.layer2")
    assert (UNIT.name, UNIT.key) == ("layer2.1", "stages.layer2")
    assert LAYER2.plain(CIFAR) == "none"
    assert LAYER2.arguments("eca@post") == {}
    assert (LAYER2.structural, LAYER2.shared) == (False, True)


@pytest.mark.parametrize(
    ("decision", "option", "expected"),
    [
        (
            LAYER2,
            "se:r4@residual",
            {"layer2.0": "layer2.0.residual", "layer2.1": "layer2.1.residual"},
        ),
        (UNIT, "se:r4@residual", {"layer2.1": "layer2.1.residual"}),
        (Attention("layer2", 0), "eca@pre", {"layer2.0": "layer2.0.pre"}),
        (LAYER2, "none", {}),
        (LAYER2, "eca@expanded", {}),
        (Attention("layer2", 2), "eca@pre", {}),
        (Attention("layer9"), "eca@pre", {}),
    ],
)
def test_a_block_is_placed_at_every_unit_or_at_the_one_that_is_meant(decision, option, expected):
    placed = decision.placed(option, CIFAR)
    assert {unit: site.path for unit, site in placed} == expected
    assert [(edit.mode, edit.path) for edit in decision.edits(option, CIFAR)] == [
        ("at", path) for path in expected.values()
    ]


def test_units_that_lack_the_placement_are_left_out():
    placed = Attention("stage2").placed("eca@identity", MOBILE)
    assert [unit for unit, _ in placed] == ["stage2.1"]  # the first one has no shortcut
    assert Attention("stage2", 0).placed("eca@identity", MOBILE) == ()


def test_a_block_that_cannot_run_at_one_of_the_sites_is_placed_nowhere():
    pixels = Backbone("resnet_cifar", (("depth", 14), ("width", 8)), (1, 2, 2), (3,))
    assert [unit for unit, _ in Attention("layer1").placed("simam@pre", pixels)] == [
        "layer1.0",
        "layer1.1",
    ]
    # layer2.0 gets a 2 x 2 map, layer2.1 one of a single pixel
    assert Attention("layer2").placed("simam@pre", pixels) == ()
    assert [unit for unit, _ in Attention("layer2", 0).placed("simam@pre", pixels)] == ["layer2.0"]
    assert Attention("layer2", 1).placed("simam@pre", pixels) == ()


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("se:r4@residual", "cse:r4@residual", True),  # two names of one function
        ("se:r4@residual", "se:r8@residual", True),  # 16 / 4 = 4, and no width is below 4
        ("se:r2@residual", "se:r4@residual", False),
        ("se:r4@residual", "se:r4@post", False),
        ("se:r4@residual", "gc:r4@residual", False),
    ],
)
def test_edits_are_equal_where_the_networks_are(one, other, alike):
    assert (UNIT.edits(one, CIFAR) == UNIT.edits(other, CIFAR)) is alike


@pytest.mark.parametrize(
    ("text", "option"),
    [
        (" se:r8@post ", "se:r8@post"),
        ("eca:r8@post", "eca@post"),
        ("none:r8@post", "none"),
        ("none", "none"),
    ],
)
def test_an_option_is_read_as_its_usual_spelling(text, option):
    assert LAYER2.read(text) == option


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("se:r8", "the option 'se:r8' lacks a placement. Write 'se:r8@residual'."),
        ("se@post", "the option 'se@post' lacks a ratio. Write 'se:r8@post'."),
        (
            "se:r3@post",
            "the block 'se' does not know the ratio 3. It knows 2, 4, 8, 16, 32.",
        ),
        (
            "cbma:r8@post",
            "unknown block 'cbma'. Did you mean 'cbam'? `attnas blocks` lists all.",
        ),
        (
            "se r8",
            "cannot read the option 'se r8'. Write 'none', 'eca@post' or 'se:r8@residual'.",
        ),
    ],
)
def test_what_is_no_option_is_refused(text, message):
    with pytest.raises(InputError) as caught:
        LAYER2.read(text)
    assert str(caught.value) == message


def test_what_a_block_costs_is_shared_by_its_sites_their_elements_ratio_and_placement():
    assert LAYER2.parts("none", CIFAR) == {}
    assert LAYER2.parts("se:r4@pre", CIFAR) == {
        ("units", "se"): 2.0,
        ("elements", "se"): 8 * 8 * 8 + 16 * 4 * 4,  # before the strided convolution, and behind
        ("stage", "layer2", "se"): 1.0,
        ("ratio", "layer2", "se", "4"): 1.0,
        ("placement", "layer2", "se", "pre"): 1.0,
        ("own", "layer2", "se:r4@pre"): 1.0,
    }
    assert UNIT.parts("eca@post", CIFAR) == {
        ("units", "eca"): 1.0,
        ("elements", "eca"): 16 * 4 * 4,
        ("stage", "layer2.1", "eca"): 1.0,
        ("ratio", "layer2.1", "eca", "None"): 1.0,
        ("placement", "layer2.1", "eca", "post"): 1.0,
        ("own", "layer2.1", "eca@post"): 1.0,
    }


@pytest.mark.parametrize("identity_start", [True, False])
@pytest.mark.parametrize(
    ("decision", "option"),
    [(LAYER2, "se:r2@pre"), (UNIT, "se:r2@pre"), (LAYER2, "simam@post"), (LAYER2, "none")],
)
def test_the_details_are_what_the_network_gained(decision, option, identity_start):
    details = decision.details(option, CIFAR, identity_start=identity_start)
    made = build(Architecture(CIFAR, (decision,), (option,), identity_start))
    plain = build(Architecture.plain(CIFAR))
    assert details["params"] == parameters(made) - parameters(plain)
    assert details["sites"] == [site.path for _, site in decision.placed(option, CIFAR)]


def test_the_details_name_block_ratio_placement_and_distinct_widths():
    details = LAYER2.details("se:r2@pre", CIFAR, identity_start=True)
    assert details == {
        "block": "se",
        "ratio": 2,
        "placement": "pre",
        "widths": [[4], [8]],  # 8 channels before layer2.0, 16 before layer2.1
        "sites": ["layer2.0.pre", "layer2.1.pre"],
        "params": (2 * 8 * 4 + 4 + 8) + (2 * 16 * 8 + 8 + 16),
    }
    assert LAYER2.details("eca@post", CIFAR, identity_start=True)["widths"] == []


# By unit


def space(backbone=CIFAR, **given):
    lists = {"blocks": ["none", "eca"], "ratios": [], "placements": ["residual", "identity"]}
    return SearchSpace.create(backbone, **{**lists, "per": "unit", **given})


def test_each_unit_has_a_decision_of_its_own():
    made = space()
    assert made.names == tuple(f"layer{i}.{j}" for i in (1, 2, 3) for j in (0, 1))
    assert made.size == 3 ** len(made.names)
    assert made.is_shared


def test_one_stage_alone_may_be_decided_by_unit():
    made = space(per="stage", stages={"layer2": {"per": "unit"}})
    assert made.names == ("layer1", "layer2.0", "layer2.1", "layer3")
    back = space(stages={"layer2": {"per": "stage"}})
    assert back.names == ("layer1.0", "layer1.1", "layer2", "layer3.0", "layer3.1")


def test_a_frozen_stage_is_one_decision_also_where_units_are_decided():
    made = space(stages={"layer2": {"choice": "eca@post"}})
    assert made.names == ("layer1.0", "layer1.1", "layer2", "layer3.0", "layer3.1")


def test_the_options_of_a_unit_are_those_that_it_has_a_place_for():
    made = space(MOBILE)
    assert made.options_of("stage2.0") == ("none", "eca@residual")
    assert made.options_of("stage2.1") == ("none", "eca@residual", "eca@identity")


def test_blocks_are_built_at_the_units_that_have_them_alone():
    made = space(blocks=["none", "se"], ratios=[2])
    chosen = made.architecture({**made.plain.by_name, "layer2.1": "se:r2@residual"})
    plain = build(made.plain).state_dict()
    assert {name.rpartition(".")[0] for name in build(chosen).state_dict().keys() - plain} == {
        "layer2.1.residual.reduce",
        "layer2.1.residual.expand",
    }


def test_the_same_attention_at_all_units_is_that_of_the_stage():
    by_unit, by_stage = space(), space(per="stage")
    chosen = by_unit.architecture(["eca@residual"] * 6)
    expected = build(by_stage.architecture(["eca@residual"] * 3), seed=1).state_dict()
    found = build(chosen, seed=1).state_dict()
    assert found.keys() == expected.keys()
    assert all((found[name] == expected[name]).all() for name in found)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"per": "layer"}, "per: unknown value 'layer'. Known: stage, unit."),
        ({"per": "units"}, "per: unknown value 'units'. Did you mean 'unit'?"),
        (
            {"stages": {"layer2": {"per": "units"}}},
            "stages.layer2.per: unknown value 'units'. Did you mean 'unit'?",
        ),
        (
            {"stages": {"layer2": {"per": "unit", "choice": "none"}}},
            "stages.layer2: 'choice' freezes the stage. Leave out 'per'.",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_key(given, message):
    with pytest.raises(InputError) as caught:
        space(**given)
    assert str(caught.value) == message


def test_a_unit_at_which_nothing_can_be_placed_is_refused():
    with pytest.raises(InputError) as caught:
        space(
            MOBILE, blocks=["eca"], placements=["identity"], stages={"stage1": {"choice": "none"}}
        )
    assert str(caught.value) == (
        "stages.stage2: none of eca can be placed at identity in stage2.0; stage2 has residual, "
        "pre, post, identity, expanded, block. Allow 'none' or another placement there."
    )
