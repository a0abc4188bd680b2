import json

import pytest
from torch import nn

from attnas.core import InputError
from attnas.search_space import Insertion, Stage, StagePattern, Unit
from attnas.search_space.stages import expand, join, parse_stages


def unit(**others):
    return nn.ModuleDict({"conv": nn.Conv2d(2, 2, 1), "slot": nn.Identity(), **others})


@pytest.fixture
def network():
    return nn.ModuleDict(
        {
            "stem": nn.Conv2d(1, 2, 1),
            "layer1": nn.Sequential(unit(down=nn.Conv2d(2, 2, 1)), unit()),
            "layer2": nn.Sequential(*(unit() for _ in range(11))),
        }
    )


def parsed(network, description):
    return expand(network, parse_stages(description, key="stages"), key="stages")


def message(network, description):
    with pytest.raises(InputError) as caught:
        parsed(network, description)
    return str(caught.value)


def stage(units=("layer1.*",), **sites):
    return {"units": list(units), "sites": sites or {"residual": {"after": "conv"}}}


DESCRIPTION = {
    "early": stage(residual={"after": "conv"}, identity={"after": "down"}, pre={"at": "slot"}),
    "late": stage(["layer2.10"], post={"after": ""}),
}


def test_a_description_is_read_without_a_network():
    early, late = parse_stages(DESCRIPTION, key="stages")
    assert early == StagePattern(
        "early",
        ("layer1.*",),
        (
            ("identity", Insertion("after", "down")),
            ("pre", Insertion("at", "slot")),
            ("residual", Insertion("after", "conv")),
        ),
    )
    assert late == StagePattern("late", ("layer2.10",), (("post", Insertion("after", "")),))


def test_the_order_of_the_sites_does_not_matter():
    sites = {"pre": {"at": "slot"}, "post": {"after": ""}}
    turned = dict(reversed(sites.items()))
    assert parse_stages({"a": stage(**sites)}, key="") == parse_stages(
        {"a": stage(**turned)}, key=""
    )


def test_a_description_becomes_stages_of_units_with_their_insertions(network):
    found = parsed(network, DESCRIPTION)
    slot, conv, down = (
        Insertion("at", "slot"),
        Insertion("after", "conv"),
        Insertion("after", "down"),
    )
    assert found == (
        Stage(
            "early",
            (
                Unit("layer1.0", (("identity", down), ("pre", slot), ("residual", conv))),
                Unit("layer1.1", (("pre", slot), ("residual", conv))),
            ),
        ),
        Stage("late", (Unit("layer2.10", (("post", Insertion("after", "")),)),)),
    )


@pytest.mark.parametrize(
    ("globs", "expected"),
    [
        (["layer2.*"], [f"layer2.{i}" for i in range(11)]),
        (["layer2.1*", "layer2.[01]"], ["layer2.0", "layer2.1", "layer2.10"]),
        (["layer2.1", "layer1.*"], ["layer1.0", "layer1.1", "layer2.1"]),
        (["layer?.1"], ["layer1.1", "layer2.1"]),
    ],
)
def test_globs_give_units_in_the_networks_order_each_once(network, globs, expected):
    [found] = parsed(network, {"one": stage(globs)})
    assert [unit.path for unit in found.units] == expected


def test_a_path_that_is_a_number_may_be_without_quotes():
    network = nn.Sequential(nn.Sequential(nn.Conv2d(1, 1, 1)))
    [found] = parsed(network, {"one": {"units": [0], "sites": {"post": {"after": 0}}}})
    assert found.units == (Unit("0", (("post", Insertion("after", "0")),)),)


FORM = "a stage has the keys 'units' (module paths) and 'sites' (insertions by placement)."
SITE = (
    "a site is {at: path}, {before: path}, {after: path} or {replace: path}, with "
    "a 'layout' if need be; the path is relative to the unit, \"\" is the unit itself."
)


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        (None, "stages: stages are a mapping of stage name to units and sites."),
        ([], "stages: stages are a mapping of stage name to units and sites."),
        ({}, "stages: stages are a mapping of stage name to units and sites."),
        ({"one": ["layer1.*"]}, f"stages.one: {FORM}"),
        ({"one": {"units": ["layer1.*"]}}, f"stages.one: {FORM}"),
        (
            {"one": stage() | {"units": "layer1.*"}},
            'stages.one.units: units are a list of module paths, such as ["layer1.*"].',
        ),
        (
            {"one": stage() | {"sites": ["residual"]}},
            "stages.one.sites: sites are a mapping such as {residual: {after: bn2}}.",
        ),
        (
            {"one": stage(["stem", "layr1.*"])},
            "stages.one.units[1]: the network has no module 'layr1.*'. "
            "Did you mean 'layer1.1', 'layer1.0' or 'layer1'?",
        ),
        (
            {"one": stage(["blocks"])},
            "stages.one.units[0]: the network has no module 'blocks'. It has stem, layer1, layer2.",
        ),
        (
            {"one": stage(residual={"after": "cnov"})},
            "stages.one.sites.residual: no unit of the stage has a module 'cnov'. "
            "Did you mean 'conv'?",
        ),
        (
            {"one": stage(["layer1.1"], identity={"after": "projection"})},
            "stages.one.sites.identity: no unit of the stage has a module 'projection'. "
            "It has conv, slot.",
        ),
        (
            {"one": stage(["stem"])},
            "stages.one.sites.residual: no unit of the stage has a module 'conv'. "
            "It has no submodules.",
        ),
        (
            {"one": stage(residual={"at": "conv"})},
            "stages.one.sites.residual: 'layer1.0.conv' is a Conv2d, not an empty slot "
            "(nn.Identity). Write 'before' or 'after'.",
        ),
        ({"one": stage(residual="conv")}, f"stages.one.sites.residual: {SITE}"),
        ({"one": stage(residual={"behind": "conv"})}, f"stages.one.sites.residual: {SITE}"),
        (
            {"one": stage(residual={"at": "slot", "after": "conv"})},
            f"stages.one.sites.residual: {SITE}",
        ),
        (
            {"one": stage(residual={"after": None})},
            "stages.one.sites.residual: the path None is not a string. Put it in quotes.",
        ),
        (
            {"one": stage(**{"Residual 2": {"after": "conv"}})},
            "stages.one.sites: the placement 'Residual 2' may have a-z and '_' only.",
        ),
        (
            {"one": stage(), "two": stage(["layer1.1"])},
            "stages.two.units: the unit 'layer1.1' belongs to the stage 'one' already. "
            "Give each unit to one stage.",
        ),
    ],
)
def test_a_description_that_does_not_fit_is_refused(network, description, expected):
    assert message(network, description) == expected


@pytest.mark.parametrize(
    ("unit", "relative", "path"),
    [("layer1.0", "conv.1", "layer1.0.conv.1"), ("layer1.0", "", "layer1.0")],
)
def test_a_site_is_named_from_its_unit(unit, relative, path):
    assert join(unit, relative) == path


# Plain types


def test_a_pattern_comes_back_from_plain_types():
    for pattern in parse_stages(DESCRIPTION, key="stages"):
        plain = json.loads(json.dumps(pattern.to_dict()))
        assert StagePattern.from_dict(plain) == pattern
    assert parse_stages(DESCRIPTION, key="")[1].to_dict() == {
        "name": "late",
        "units": ["layer2.10"],
        "sites": {"post": {"after": ""}},
    }


def test_a_stage_of_format_1_has_the_sites_of_all_its_units_where_they_have_the_module(network):
    stored = {
        "name": "early",
        "units": [
            {"path": "layer1.0", "sites": {"pre": {"at": "slot"}, "identity": {"after": "down"}}},
            {"path": "layer1.1", "sites": {"pre": {"at": "slot"}}},
        ],
    }
    pattern = StagePattern.from_dict(stored)
    slot, down = Insertion("at", "slot"), Insertion("after", "down")
    assert pattern == StagePattern(
        "early", ("layer1.0", "layer1.1"), (("identity", down), ("pre", slot))
    )
    assert expand(network, (pattern,), key="stages") == (
        Stage(
            "early",
            (
                Unit("layer1.0", (("identity", down), ("pre", slot))),
                Unit("layer1.1", (("pre", slot),)),
            ),
        ),
    )


@pytest.mark.parametrize(
    "plain", [{"name": "one"}, {"units": ["a"]}, {"name": "one", "units": ["a"], "sites": ["b"]}]
)
def test_what_is_no_pattern_is_refused(plain):
    with pytest.raises((KeyError, ValueError, TypeError)):
        StagePattern.from_dict(plain)


def test_units_can_be_named_by_an_ending_or_an_expression(network):
    [found] = parsed(network, {"one": stage(["10", r"re:layer1\.\d"])})
    assert [unit.path for unit in found.units] == ["layer1.0", "layer1.1", "layer2.10"]


def test_a_site_can_be_named_so_too_and_is_another_path_in_each_unit():
    network = nn.Sequential(
        nn.ModuleDict({"main": unit(), "bn": nn.BatchNorm2d(2)}),
        nn.ModuleDict({"branch": unit()}),
        nn.ModuleDict({"conv1": nn.Conv2d(2, 2, 1)}),
    )
    sites = {"residual": {"after": "conv"}, "pre": {"before": r"re:conv\d"}}
    [found] = parsed(network, {"one": stage(["[012]"], **sites)})
    assert found.units == (
        Unit("0", (("residual", Insertion("after", "main.conv")),)),
        Unit("1", (("residual", Insertion("after", "branch.conv")),)),
        Unit("2", (("pre", Insertion("before", "conv1")),)),
    )


def test_a_whole_name_is_no_ending_in_the_units_that_lack_it():
    network = nn.Sequential(unit(), nn.ModuleDict({"inner": unit()}))
    [found] = parsed(network, {"one": stage(["[01]"])})
    assert [len(own.insertions) for own in found.units] == [1, 0]


def test_a_site_that_names_several_modules_of_a_unit_is_refused():
    network = nn.Sequential(nn.ModuleDict({"a": unit(), "b": unit()}))
    assert message(network, {"one": stage(["0"])}) == (
        "stages.one.sites.residual: 'conv' names several modules of 0: a.conv, b.conv. Name one."
    )
