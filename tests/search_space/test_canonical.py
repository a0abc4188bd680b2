"""Spaces in which options coincide: their networks are counted by listing all combinations."""

import math
from collections import Counter
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from attnas.core import InputError
from attnas.search_space import (
    Argument,
    Attention,
    AttentionOption,
    Backbone,
    Depth,
    SearchSpace,
    Site,
    build,
)
from attnas.search_space.tracing import TracedUnit

many = settings(max_examples=60)


@dataclass(frozen=True)
class Plan:
    """A backbone whose units follow from its arguments: `units` a stage, with `width` channels.

    The first unit of a stage changes the width, so that it has no shortcut and cannot be skipped.
    """

    arguments: tuple[tuple[str, int], ...]
    name: str = "plan"
    stage_names: tuple[str, ...] = ("one", "two")

    def with_arguments(self, changed):
        together = {**dict(self.arguments), **changed}
        return Plan(tuple(sorted(together.items())), self.name, self.stage_names)

    def replaces(self, stage: str) -> bool:
        return False

    def units(self, stage):
        return tuple(
            TracedUnit(path, {place: Site(place, *site) for place, site in sites.items()}, i > 0)
            for i, (path, sites) in enumerate(laid_out(self, dict(self.arguments), stage).items())
        )


def laid_out(plan, arguments, stage):
    """By unit: by placement (mode, path, channels, height, width)."""
    if stage not in plan.stage_names:
        return {}
    channels = arguments["width"] * 2 ** plan.stage_names.index(stage)
    map_size = (channels, arguments["side"], arguments["side"])
    found = {}
    for i in range(arguments["units"]):
        path = f"{stage}.{i}"
        found[path] = {"residual": ("after", f"{path}.conv", *map_size)}
        found[path]["post"] = ("after", path if i else f"{path}.conv", *map_size)
        if i:
            found[path]["identity"] = ("at", f"{path}.identity", *map_size)
    return found


def network(space, options):
    """What these options make of the plan, by a statement of its own."""
    arguments = dict(space.backbone.arguments)
    for decision, option in zip(space.decisions, options, strict=True):
        if isinstance(decision, Argument):
            arguments[decision.argument] = int(option)
    kept = dict.fromkeys(space.backbone.stage_names, arguments["units"])
    for decision, option in zip(space.decisions, options, strict=True):
        if isinstance(decision, Depth):
            kept[decision.stage] = min(kept[decision.stage], int(option))
    found = {("arguments", *sorted(arguments.items()))} | set(kept.items())
    for decision, option in zip(space.decisions, options, strict=True):
        if not isinstance(decision, Attention):
            continue
        units = list(laid_out(space.backbone, arguments, decision.stage).values())
        chosen = AttentionOption.parse(option)
        for i, sites in enumerate(units[: kept[decision.stage]]):
            if decision.unit in (None, i) and chosen.placement in sites:
                mode, path, channels, side, _ = sites[chosen.placement]
                if chosen.block == "simam" and side == 1:
                    continue  # one value has no variance
                width = chosen.ratio and max(4, math.floor(channels / chosen.ratio + 0.5))
                found.add((mode, path, {"cse": "se"}.get(chosen.block, chosen.block), width))
    return frozenset(found)


def combinations(space):
    return product(*space.options)


def classes(space):
    """The combinations of options by the network that they make."""
    found = {}
    for options in combinations(space):
        found.setdefault(network(space, options), []).append(options)
    return found


def first_of(space, alike):
    """Of each decision the first option that any of these combinations has."""
    columns = zip(*alike, strict=True)
    return tuple(
        min(column, key=options.index)
        for column, options in zip(columns, space.options, strict=True)
    )


def some(of, least=1, most=3):
    return st.lists(st.sampled_from(of), min_size=least, max_size=most, unique=True)


@st.composite
def spaces(draw, most=1200):
    """Spaces with arguments, depth and attention by stage or unit, of few combinations."""
    stages = draw(st.sampled_from([("one",), ("one", "two")]))
    own = {
        "width": draw(st.sampled_from([8, 16])),
        "units": draw(st.integers(1, 3)),
        "side": draw(st.sampled_from([1, 4])),
    }
    values = {"width": [8, 16, 32], "units": [1, 2, 3], "side": [1, 4]}
    plan = Plan(tuple(sorted(own.items())), stage_names=stages)
    varied = draw(some(sorted(values), least=0, most=2))
    blocks = draw(some(["none", "simam", "se", "cse"], least=0, most=2))
    further = {"per": draw(st.sampled_from(["stage", "unit"]))}
    if own["units"] == 3 and draw(st.booleans()):
        further["depth"] = draw(some([1, 2, 3]))
    of_stage = {}
    if draw(st.booleans()):
        of_stage["one"] = {"choice": draw(st.sampled_from(["none", "se:r4@residual"]))}
    space = SearchSpace.create(
        plan,
        blocks=["eca", *blocks],
        ratios=draw(some([2, 4], most=2)),
        placements=["residual", *draw(some(["post"], least=0))],
        stages=of_stage,
        arguments={name: draw(some(values[name])) for name in varied},
        identity_start=draw(st.booleans()),
        **further,
    )
    assume(math.prod(map(len, space.options)) <= most)
    return space


def generators():
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


# Size, canonical forms and numbers


@many
@given(spaces())
def test_the_size_is_the_number_of_different_networks(space):
    assert space.size == len(classes(space))


@many
@given(spaces())
def test_of_options_that_do_the_same_the_first_stands_for_all(space):
    for alike in classes(space).values():
        canonical = first_of(space, alike)
        for options in alike:
            assert space.architecture(options).options == canonical
            architecture = space.read(options)
            assert (architecture in space) == (options == canonical)
            if options != canonical:
                with pytest.raises(ValueError, match="is not in the search space"):
                    space.index(architecture)


@many
@given(spaces())
def test_enumeration_has_every_network_once_in_the_order_of_the_index(space):
    every = list(space.enumerate())
    networks = [network(space, architecture.options) for architecture in every]
    assert len(set(networks)) == len(every) == space.size
    assert set(networks) == set(classes(space))
    assert [space.index(architecture) for architecture in every] == list(range(space.size))
    assert [space.at(number) for number in range(space.size)] == every
    assert all(architecture in space for architecture in every)


@many
@given(spaces(), generators())
def test_a_sample_is_of_the_space_and_survives_its_encoding(space, rng):
    sample = space.sample(rng)
    assert sample in space
    assert space.at(space.index(sample)) == sample
    assert space.architecture(sample.by_name) == sample
    assert space.decode(space.encode(sample)) == sample


@many
@given(spaces(), st.data())
def test_an_encoding_that_is_no_architectures_decodes_into_the_space(space, data):
    numbers = st.lists(st.floats(-1, 1), min_size=space.encoded_size, max_size=space.encoded_size)
    assert space.decode(np.array(data.draw(numbers))) in space


# Steps


def one_step(space, options):
    """The networks of all combinations that differ in one option."""
    for place, allowed in enumerate(space.options):
        for option in allowed:
            if option != options[place]:
                yield network(space, (*options[:place], option, *options[place + 1 :]))


@many
@given(spaces(), generators(), st.data())
def test_neighbours_are_the_other_networks_that_one_option_makes(space, rng, data):
    canonical = space.sample(rng)
    spelled = data.draw(st.sampled_from(classes(space)[network(space, canonical.options)]))
    own = network(space, canonical.options)
    expected = set(one_step(space, canonical.options)) - {own}
    for architecture in (canonical, space.read(spelled)):
        neighbours = space.neighbours(architecture)
        found = [network(space, n.options) for n in neighbours]
        assert all(n in space for n in neighbours)
        assert len(found) == len(set(found))
        assert set(found) == expected


@many
@given(spaces(), generators())
def test_a_mutant_is_a_neighbour(space, rng):
    sample = space.sample(rng)
    mutant = space.mutate(sample, rng)
    assert mutant in (space.neighbours(sample) if space.size > 1 else [sample])


@many
@given(spaces(), generators())
def test_a_child_is_made_of_its_parents_options(space, rng):
    mother, father = space.sample(rng), space.sample(rng)
    child = space.crossover(mother, father, rng)
    mixtures = product(*({m, f} for m, f in zip(mother.options, father.options, strict=True)))
    assert child in space
    assert network(space, child.options) in {network(space, mixture) for mixture in mixtures}


@many
@given(spaces(), generators())
def test_the_plain_backbone_is_handled_whether_or_not_it_is_in_the_space(space, rng):
    plain = space.plain
    inside = all(
        option in allowed for option, allowed in zip(plain.options, space.options, strict=True)
    )
    assert (plain in space) == inside
    assert space.mutate(plain, rng) in space
    assert space.crossover(plain, plain, rng) in space
    assert all(neighbour in space for neighbour in space.neighbours(plain))
    assert space.encode(plain).shape == (space.encoded_size,)


# Chosen spaces


def plan(**arguments):
    own = {"width": 16, "units": 3, "side": 4, **arguments}
    return Plan(tuple(sorted(own.items())), stage_names=("one",))


def space_of(backbone, **lists):
    given_lists = {"blocks": ["none", "eca"], "ratios": [], "placements": ["residual"], **lists}
    return SearchSpace.create(backbone, **given_lists)


UNEVEN = space_of(plan(), per="unit", depth=[1, 2, 3])


def test_attention_on_skipped_units_is_no_choice():
    assert UNEVEN.size == 2 + 2**2 + 2**3
    assert math.prod(map(len, UNEVEN.options)) == 3 * 2**3
    cut = UNEVEN.architecture(["1", "eca@residual", "eca@residual", "eca@residual"])
    assert cut.options == ("1", "eca@residual", "none", "none")


def test_attention_on_units_that_a_frozen_depth_skips_is_no_choice():
    frozen = space_of(plan(), per="unit", depth=[1])
    assert frozen.options[0] == ("1",)
    assert frozen.size == 2
    assert len(list(frozen.enumerate())) == 2


def test_ratios_that_differ_on_one_width_alone_are_two_options_there():
    space = space_of(plan(), blocks=["se"], ratios=[2, 4], arguments={"width": [8, 16]})
    # at 8 channels both ratios have 4 hidden units, at 16 there are 8 and 4
    assert space.size == 1 + 2
    assert [str(a) for a in space.enumerate()] == [
        "width=8 one=se:r2@residual",
        "width=16 one=se:r2@residual",
        "width=16 one=se:r4@residual",
    ]


def test_another_spelling_is_read_on_the_backbone_that_its_arguments_make():
    space = space_of(plan(width=8), blocks=["se"], ratios=[2, 4], arguments={"width": [8, 16]})
    # on the plain backbone, of 8 channels, cse:r4 would be se:r2
    found = space.architecture({"width": "16", "one": "cse:r4@residual"})
    assert found.options == ("16", "se:r4@residual")
    assert space.architecture(["8", "cse:r4@residual"]).options == ("8", "se:r2@residual")
    with pytest.raises(InputError) as caught:
        space.architecture(["16", "cse:r8@post"])
    assert str(caught.value) == (
        "one: the option 'cse:r8@post' is not in the search space. Allowed: se:r2@residual, "
        "se:r4@residual."
    )
    with pytest.raises(InputError) as caught:
        space.architecture(["32", "cse:r4@residual"])
    assert str(caught.value) == "width: the option '32' is not in the search space. Allowed: 8, 16."


def test_a_block_that_runs_on_some_maps_alone_is_nothing_on_the_others():
    space = space_of(plan(), blocks=["none", "simam"], arguments={"side": [1, 4]})
    assert [str(a) for a in space.enumerate()] == [
        "side=1 one=none",
        "side=4 one=none",
        "side=4 one=simam@residual",
    ]


def test_a_depth_beyond_the_units_that_there_are_is_all_of_them():
    space = space_of(plan(), blocks=["none"], arguments={"units": [1, 3]}, depth=[2, 3])
    assert [str(a) for a in space.enumerate()] == [
        "units=1 one.depth=2 one=none",
        "units=3 one.depth=2 one=none",
        "units=3 one.depth=3 one=none",
    ]
    assert space.architecture(["1", "1", "none"]) == space.at(0)


@pytest.mark.parametrize("draws", [400])
def test_sampling_is_uniform_over_networks_not_over_combinations(draws):
    rng = np.random.default_rng(7)
    counts = Counter(UNEVEN.index(UNEVEN.sample(rng)) for _ in range(draws * UNEVEN.size))
    assert chisquare([counts[i] for i in range(UNEVEN.size)]).pvalue > 0.01


def test_each_neighbour_is_the_mutant_equally_often():
    start, rng = UNEVEN.plain, np.random.default_rng(2)
    expected = UNEVEN.neighbours(start)
    # depth 1 and 2 leave as many networks; three units may get a block
    assert len(expected) == 2 + 3
    counts = Counter(UNEVEN.mutate(start, rng) for _ in range(2000))
    assert set(counts) == set(expected)
    assert chisquare([counts[a] for a in expected]).pvalue > 0.01


def test_every_network_can_be_reached_by_neighbours():
    reached, front = set(), [UNEVEN.at(0)]
    while front:
        reached.update(front)
        front = [n for a in front for n in UNEVEN.neighbours(a) if n not in reached]
    assert len(reached) == UNEVEN.size


def test_sizes_beyond_64_bits_are_exact_and_can_be_sampled():
    deep = plan(units=80)
    space = space_of(deep, per="unit", depth=[1, 80])
    assert space.size == 2 + 2**80
    last = space.at(space.size - 1)
    assert last.options == ("80", *["eca@residual"] * 80)
    assert space.index(last) == space.size - 1
    rng = np.random.default_rng(0)
    drawn = {space.sample(rng) for _ in range(20)}
    assert len(drawn) == 20
    assert all(architecture in space for architecture in drawn)


def test_too_many_combinations_are_refused_with_the_decisions_that_have_them():
    long = Plan(plan(units=11).arguments, stage_names=("one", "two", "three", "four"))
    with pytest.raises(InputError) as caught:
        space_of(long, blocks=["none"], depth=list(range(1, 12)))
    assert str(caught.value) == (
        "stages.four.depth: one.depth, two.depth, three.depth, four.depth have 14,641 "
        "combinations; a search space takes at most 10,000, as each is built and run once. "
        "Give fewer values."
    )


# Real networks


def built(architecture):
    """The modules and parameter shapes of a network."""
    made = build(architecture)
    modules = {name: type(module).__name__ for name, module in made.named_modules()}
    return f"{modules} { {name: tuple(p.shape) for name, p in made.named_parameters()} }"


@pytest.mark.parametrize("blocks", [["none", "se", "cse"], ["se", "eca"]])
def test_every_architecture_is_built_and_is_another_network(blocks):
    backbone = Backbone("resnet_cifar", (("depth", 14), ("width", 4)), (1, 4, 4), (3,))
    space = SearchSpace.create(
        backbone,
        blocks=blocks,
        ratios=[2],
        placements=["residual"],
        stages={
            "layer1": {"per": "unit", "depth": [1, 3]},
            "layer2": {"choice": "none", "depth": [1, 2]},
            "layer3": {"choice": "none"},
        },
        arguments={"depth": [8, 20]},
    )
    expected = {built(architecture) for architecture in space.enumerate()}
    assert len(expected) == space.size
    assert {built(space.read(options)) for options in combinations(space)} == expected
