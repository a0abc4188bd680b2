"""Search spaces, on sketched backbones: declared sites without a network behind them."""

import math
from collections import Counter
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, chisquare

from attnas.core import InputError
from attnas.search_space import (
    Architecture,
    AttentionOption,
    Backbone,
    SearchSpace,
    Share,
    Site,
    build,
    stage_decisions,
)
from attnas.search_space.placing import placements_in
from attnas.search_space.tracing import TracedUnit

forty = settings(max_examples=40)

BLOCKS = ["none", "se", "cse", "eca", "cbam", "sse", "simam", "gc"]
RATIOS = [4, 8, 16]
PLACEMENTS = ["residual", "pre", "post", "identity"]


@dataclass(frozen=True)
class Sketch:
    """A backbone that only declares its sites."""

    stages: tuple[tuple[str, tuple[tuple[Site, ...], ...]], ...]
    name: str = "sketch"

    @property
    def stage_names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.stages)

    def replaces(self, stage: str) -> bool:
        return False

    def units(self, stage: str) -> tuple[TracedUnit, ...]:
        return tuple(
            TracedUnit(f"{stage}.{i}", {site.placement: site for site in sites}, False)
            for i, sites in enumerate(dict(self.stages)[stage])
        )


def unit(path: str, channels: int, size: int, shortcut: bool = True) -> tuple[Site, ...]:
    """The sites of an inverted residual: without a shortcut, `post` is where `residual` is."""

    def site(placement: str, mode: str, place: str) -> Site:
        return Site(placement, mode, place, channels, size, size)

    always = (site("residual", "after", f"{path}.project"), site("pre", "before", f"{path}.expand"))
    if not shortcut:
        return (*always, site("post", "after", f"{path}.project"))
    return (*always, site("post", "after", path), site("identity", "at", f"{path}.identity"))


def sketch(*stages: tuple[int, int], shortcut: bool = True) -> Sketch:
    """Stages of one unit each, as (channels, map size)."""
    return Sketch(
        tuple(
            (f"layer{i}", (unit(f"layer{i}.0", channels, size, shortcut),))
            for i, (channels, size) in enumerate(stages, start=1)
        )
    )


SKETCH = sketch((16, 32), (32, 16), (64, 8))


def space(backbone: Sketch = SKETCH, **lists) -> SearchSpace:
    lists = {"blocks": ["none", "se", "eca"], "ratios": RATIOS, "placements": ["residual"], **lists}
    return SearchSpace.create(backbone, **lists)


def some(of: list):
    return st.lists(st.sampled_from(of), min_size=1, max_size=4, unique=True)


@st.composite
def sketches(draw) -> Sketch:
    stages = []
    for i in range(draw(st.integers(1, 3))):
        shapes = draw(
            st.lists(
                st.tuples(
                    st.sampled_from([8, 16, 40, 128]), st.sampled_from([1, 7]), st.booleans()
                ),
                min_size=1,
                max_size=2,
            )
        )
        stages.append((f"s{i}", tuple(unit(f"s{i}.{j}", *shape) for j, shape in enumerate(shapes))))
    return Sketch(tuple(stages))


@st.composite
def spaces(draw) -> SearchSpace:
    backbone = draw(sketches())
    there = placements_in(backbone, backbone.stage_names)
    frozen = {s: {"choice": "none"} for s in backbone.stage_names if draw(st.integers(0, 4)) == 0}
    return space(
        backbone,
        blocks=["none", *draw(some(BLOCKS))]
        if draw(st.booleans())
        else ["eca", *draw(some(BLOCKS))],
        ratios=draw(some(RATIOS)),
        placements=sorted({"residual", *draw(some(list(there)))}),
        stages=frozen,
        identity_start=draw(st.booleans()),
    )


def generators():
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


@st.composite
def spaces_with(draw, architectures: int):
    """A space, some of its architectures, and a generator."""
    drawn_space, rng = draw(spaces()), draw(generators())
    return drawn_space, [drawn_space.sample(rng) for _ in range(architectures)], rng


def realised(backbone: Sketch, stage: str, option: str) -> dict[str, tuple]:
    """What is placed where, by a statement of its own: {mode and path: (function, width)}."""
    chosen = AttentionOption.parse(option)
    function = {"cse": "se"}.get(chosen.block, chosen.block)
    found = {}
    for unit in backbone.units(stage):
        if chosen.placement in unit.sites:
            site = unit.sites[chosen.placement]
            width = chosen.ratio and max(4, math.floor(site.channels / chosen.ratio + 0.5))
            found[f"{site.mode} {site.path}"] = (function, width)
    return found


# Options


def test_ratios_of_one_width_are_one_option():
    # 16 / 4 = 4, and no hidden layer is narrower than 4
    one = space(sketch((16, 8)), blocks=["se"], ratios=[16, 8, 4])
    assert one.options_of("layer1") == ("se:r4@residual",)
    two = space(sketch((32, 8)), blocks=["se"], ratios=[16, 8, 4])
    assert list(two.options_of("layer1")) == ["se:r4@residual", "se:r8@residual"]


def test_ratios_that_differ_in_one_unit_of_the_stage_are_two_options():
    units = (unit("layer1.0", 16, 8), unit("layer1.1", 32, 8))
    options = space(Sketch((("layer1", units),)), blocks=["se"], ratios=[4, 8]).options_of("layer1")
    assert len(options) == 2


def test_post_is_residual_where_no_unit_has_a_shortcut():
    lists = {"blocks": ["eca"], "placements": ["post", "residual"]}
    assert space(sketch((16, 8), shortcut=False), **lists).options_of("layer1") == ("eca@residual",)
    assert len(space(sketch((16, 8)), **lists).options_of("layer1")) == 2


def test_two_names_of_one_function_are_one_option_under_the_name_of_the_function():
    assert space(sketch((64, 8)), blocks=["cse", "se"], ratios=[8]).options_of("layer1") == (
        "se:r8@residual",
    )


def test_blocks_that_cannot_run_on_a_map_are_no_options_there():
    # one value has no variance about its mean
    mixed = space(sketch((16, 8), (16, 1)), blocks=["none", "simam"])
    assert [len(mixed.options_of(stage)) for stage in mixed.names] == [2, 1]


def test_a_placement_is_no_option_in_a_stage_that_lacks_it():
    backbone = Sketch((*sketch((16, 8)).stages, ("last", (unit("last.0", 16, 8, False),))))
    both = space(backbone, blocks=["eca"], placements=["residual", "identity"])
    assert [len(both.options_of(stage)) for stage in both.names] == [2, 1]


def test_none_is_first_and_the_order_of_the_lists_does_not_matter():
    lists = {
        "blocks": ["gc", "cse", "eca", "none", "se"],
        "ratios": [16, 4, 8],
        "placements": ["post", "pre", "residual"],
    }
    forward = space(**lists)
    backward = space(**{name: entries[::-1] for name, entries in lists.items()})
    assert forward == backward
    assert all(forward.options_of(stage)[0] == "none" for stage in forward.names)


@forty
@given(spaces())
def test_options_are_every_network_once(drawn):
    for stage in drawn.names:
        networks = [realised(drawn.backbone, stage, option) for option in drawn.options_of(stage)]
        assert all(a != b for a, b in combinations(networks, 2))


def test_options_lack_no_network_that_a_spelling_describes():
    placements = ["residual", "post", "identity"]
    full = space(blocks=["none", "se", "cse", "eca"], placements=placements)
    for stage in full.names:
        spellings = ["none", *(f"eca@{p}" for p in placements)]
        spellings += [f"{b}:r{r}@{p}" for b, r, p in product(("se", "cse"), RATIOS, placements)]
        described = {str(realised(SKETCH, stage, spelling)) for spelling in spellings}
        options = {str(realised(SKETCH, stage, option)) for option in full.options_of(stage)}
        assert options == described


@pytest.mark.parametrize(
    ("name", "arguments", "stage"),
    [("resnet_cifar", (("depth", 8),), "layer2"), ("mobilenetv2", (("width", 0.25),), "stage1")],
)
def test_options_are_the_different_networks_that_the_spellings_build(name, arguments, stage):
    backbone = Backbone(name, arguments, input_shape=(3, 32, 32), output_shape=(4,))
    placements = [p for p in PLACEMENTS if any(p in sites for sites in backbone.sites(stage))]
    others = {name: {"choice": "none"} for name in backbone.stage_names if name != stage}
    lists = {"blocks": ["none", "se", "cse", "eca"], "ratios": [4, 8], "placements": placements}
    spellings = ["none", *(f"eca@{p}" for p in placements)]
    spellings += [f"{b}:r{r}@{p}" for b, r, p in product(("se", "cse"), (4, 8), placements)]
    assert sorted(
        built(backbone, stage, option)
        for option in space(backbone, stages=others, **lists).options_of(stage)
    ) == sorted({built(backbone, stage, spelling) for spelling in spellings})


def built(backbone: Backbone, stage: str, option: str) -> str:
    """The modules and parameter shapes of the network with one option."""
    decisions = stage_decisions(backbone)
    options = tuple(option if name == stage else "none" for name in backbone.stage_names)
    network = build(Architecture(backbone, decisions, options))
    modules = {name: type(module).__name__ for name, module in network.named_modules()}
    return f"{modules} { {name: tuple(p.shape) for name, p in network.named_parameters()} }"


def test_a_stage_may_have_lists_of_its_own():
    own = space(
        stages={"layer1": {"blocks": ["none", "sse"], "ratios": None}, "layer3": {"ratios": [4]}}
    )
    assert list(own.options_of("layer1")) == ["none", "sse@residual"]
    assert list(own.options_of("layer3")) == ["none", "eca@residual", "se:r4@residual"]
    assert own.options_of("layer2") == space().options_of("layer2")


@pytest.mark.parametrize("option", ["none", "gc:r8@post", "eca@pre"])
def test_a_frozen_stage_has_its_one_option_also_one_that_is_listed_nowhere(option):
    frozen = space(stages={"layer2": {"choice": option}})
    assert frozen.options_of("layer2") == (option,)
    assert frozen.size * len(space().options_of("layer2")) == space().size


def test_a_frozen_stage_keeps_its_spelling_and_knows_all_others_of_the_network():
    narrow = sketch((16, 8), shortcut=False)  # any ratio from 4 up gives width 4; post is residual
    frozen = space(narrow, stages={"layer1": {"choice": "cse:r8@post"}})
    listed = space(narrow, blocks=["cse"], ratios=[8], placements=["post"])
    assert list(frozen.options_of("layer1")) == ["cse:r8@post"]
    assert frozen == listed
    for spelled in ("se:r4@residual", "se:r16@post", "cse:r8@post", "cse:r8@residual"):
        assert frozen.architecture([spelled]) == frozen.at(0)
    assert space(narrow).architecture(["cse:r8@post"]).options[0] == "se:r4@residual"


def test_spaces_are_equal_if_they_have_the_same_architectures_whatever_the_lists():
    narrow = sketch((16, 8))
    spelled = [space(narrow, ratios=ratios) for ratios in ([4, 8], [16, 4], [4])]
    assert spelled[0] == spelled[1] == spelled[2]
    frozen = {"layer1": {"choice": "se:r4@residual"}}
    assert space(narrow, stages=frozen) == space(
        narrow, blocks=["cse", "se"], ratios=[8, 4], placements=["residual"]
    )
    assert space(narrow, stages=frozen) != space(narrow)


def test_a_space_of_frozen_stages_has_one_architecture():
    one = space(stages={stage: {"choice": "eca@post"} for stage in SKETCH.stage_names})
    only = one.sample(np.random.default_rng(0))
    assert one.size == 1
    assert list(one.enumerate()) == [only] == [one.at(0)]
    assert one.neighbours(only) == []
    assert one.mutate(only, np.random.default_rng(0)) == only
    assert one.decode(one.encode(only)) == only


# Architectures


@forty
@given(spaces_with(architectures=3))
def test_samples_are_in_the_space_and_canonical(drawn):
    the_space, samples, _ = drawn
    for sample in samples:
        assert sample in the_space
        assert sample.identity_start == the_space.identity_start
        assert the_space.architecture(sample.by_name) == sample
        assert the_space.architecture(sample.options) == sample
        assert the_space.read(sample.options) == sample


@forty
@given(spaces_with(architectures=1), st.sampled_from(["se", "cse", "cbam", "gc"]), st.data())
def test_every_spelling_becomes_the_option_that_is_the_same_network(drawn, block, data):
    the_space, (sample,), _ = drawn
    stage = data.draw(st.sampled_from(the_space.names))
    placement = data.draw(st.sampled_from(PLACEMENTS))
    spelled = f"{block}:r{data.draw(st.sampled_from(RATIOS))}@{placement}"
    network = realised(the_space.backbone, stage, spelled)
    same = [
        c for c in the_space.options_of(stage) if realised(the_space.backbone, stage, c) == network
    ]
    options = {**sample.by_name, stage: spelled}
    if network and same:
        assert the_space.architecture(options).by_name[stage] == same[0]
    else:
        with pytest.raises(InputError) as caught:
            the_space.architecture(options)
        assert str(caught.value) == (
            f"{stage}: the option '{spelled}' is not in the search space. "
            f"Allowed: {', '.join(the_space.options_of(stage))}."
        )


def test_blocks_without_a_ratio_need_no_list_of_them():
    assert space(blocks=["none", "eca"], ratios=[]).size == 2**3


def test_a_ratio_that_changes_nothing_is_dropped():
    assert space().architecture(["eca:r8@residual"] * 3) == space().architecture(
        ["eca@residual"] * 3
    )


def test_plain_may_be_outside_the_space():
    assert space().plain in space()
    without = space(blocks=["se", "eca"], identity_start=False)
    assert without.plain not in without
    assert without.plain == Architecture.plain(SKETCH, identity_start=False)


def test_a_space_contains_its_architectures_only():
    inside = space().architecture(["se:r4@residual"] * 3)
    assert inside in space()
    decisions = space().decisions
    assert Architecture(SKETCH, decisions, inside.options) in space()
    assert Architecture(SKETCH, decisions, inside.options, identity_start=False) not in space()
    other = sketch((16, 8), (16, 8), (16, 8))
    assert Architecture(other, decisions, inside.options) not in space()
    assert Architecture(SKETCH, decisions[::-1], inside.options) not in space()
    spelled_otherwise = ("se:r16@residual",) * 3
    assert Architecture(SKETCH, decisions, spelled_otherwise) not in space()
    assert "se:r4@residual" not in space()


# Numbers


@forty
@given(spaces())
def test_enumeration_has_every_architecture_once_in_the_order_of_the_index(drawn):
    first = [a for a, _ in zip(drawn.enumerate(), range(300), strict=False)]
    assert len(set(first)) == len(first) == min(drawn.size, 300)
    assert [drawn.index(a) for a in first] == list(range(len(first)))


@forty
@given(spaces_with(architectures=1), st.data())
def test_index_and_at_are_inverse(drawn, data):
    the_space, (sample,), _ = drawn
    assert the_space.at(the_space.index(sample)) == sample
    number = data.draw(st.integers(0, the_space.size - 1))
    assert the_space.index(the_space.at(number)) == number


def test_the_size_of_a_space_beyond_64_bits_is_exact():
    wide = space(sketch(*[(64, 8)] * 60), placements=["residual", "post"])
    per_stage = 1 + 2 * 4  # none; eca, and se with 4, 8 or 16 hidden units, at two places
    assert wide.size == per_stage**60
    last = wide.at(wide.size - 1)
    assert last.options == tuple(wide.options_of(stage)[-1] for stage in wide.names)
    assert wide.index(last) == wide.size - 1
    assert wide.sample(np.random.default_rng(0)) in wide


@pytest.mark.parametrize("index", [-1, 60])
def test_at_refuses_numbers_that_no_architecture_has(index):
    assert space().size == 60
    with pytest.raises(IndexError, match=f"^{index} is not between 0 and 59$"):
        space().at(index)


def test_sampling_is_uniform_over_networks_not_over_spellings():
    # at 16 channels all ratios are one: over spellings, se would be drawn 3 times as often
    few = space(sketch((16, 8), (64, 8)))
    rng = np.random.default_rng(5)
    counts = Counter(few.index(few.sample(rng)) for _ in range(200 * few.size))
    assert chisquare([counts[i] for i in range(few.size)]).pvalue > 0.01


# Neighbours, mutation, crossover, distance


@forty
@given(spaces_with(architectures=1))
def test_neighbours_are_what_enumeration_finds_at_distance_one(drawn):
    the_space, (a,), _ = drawn
    neighbours = the_space.neighbours(a)
    assert len(neighbours) == sum(len(the_space.options_of(s)) - 1 for s in the_space.names)
    assert len(set(neighbours)) == len(neighbours)
    for b in neighbours:
        assert b in the_space
        assert the_space.distance(a, b) == 1
        assert a in the_space.neighbours(b)


@forty
@given(spaces_with(architectures=1))
def test_a_mutation_differs_in_exactly_one_stage(drawn):
    the_space, (a,), rng = drawn
    mutant = the_space.mutate(a, rng)
    assert mutant in the_space
    assert the_space.distance(a, mutant) == (the_space.size > 1)


def test_each_neighbour_is_the_mutant_equally_often():
    uneven = space(stages={"layer1": {"choice": "none"}, "layer2": {"blocks": ["none", "eca"]}})
    start, rng = uneven.plain, np.random.default_rng(2)
    counts = Counter(uneven.mutate(start, rng) for _ in range(2000))
    expected = uneven.neighbours(start)
    assert set(counts) == set(expected)
    assert chisquare([counts[a] for a in expected]).pvalue > 0.01


@forty
@given(spaces_with(architectures=2))
def test_crossover_takes_each_stage_from_one_parent(drawn):
    the_space, (a, b), rng = drawn
    child = the_space.crossover(a, b, rng)
    assert child in the_space
    assert all(c in pair for c, *pair in zip(child.options, a.options, b.options, strict=True))


def test_crossover_takes_from_either_parent_equally_often():
    a, b = space().architecture(["none"] * 3), space().architecture(["eca@residual"] * 3)
    rng = np.random.default_rng(3)
    counts = Counter(space().crossover(a, b, rng) for _ in range(1600))
    assert len(counts) == 8
    assert chisquare(list(counts.values())).pvalue > 0.01


@forty
@given(spaces_with(architectures=3))
def test_distance_is_a_metric(drawn):
    the_space, (a, b, c), _ = drawn
    d = the_space.distance
    assert d(a, b) == d(b, a)
    assert (d(a, b) == 0) == (a == b)
    assert d(a, c) <= d(a, b) + d(b, c)


def test_architectures_outside_the_space_lead_back_into_it():
    without = space(blocks=["se", "eca"], stages={"layer3": {"blocks": ["none", "eca"]}})
    rng = np.random.default_rng(4)
    assert without.plain not in without
    assert all(without.mutate(without.plain, rng) in without for _ in range(20))
    assert all(without.crossover(without.plain, without.plain, rng) in without for _ in range(20))
    assert without.neighbours(without.plain) == []  # two stages must change
    one = space(stages={"layer1": {"blocks": ["se", "eca"]}})
    assert {a.options[0] for a in one.neighbours(one.plain)} == set(one.options_of("layer1"))
    assert all(one.distance(one.plain, a) == 1 for a in one.neighbours(one.plain))


# Encoding


@forty
@given(spaces_with(architectures=2))
def test_encoding_is_one_hot_and_decoding_its_inverse(drawn):
    the_space, (a, b), _ = drawn
    x, y = the_space.encode(a), the_space.encode(b)
    assert x.dtype == np.float64
    assert x.shape == (sum(len(the_space.options_of(s)) for s in the_space.names),)
    assert set(x) <= {0.0, 1.0}
    assert x.sum() == len(the_space.names)
    assert the_space.decode(x) == a
    assert np.abs(x - y).sum() == 2 * the_space.distance(a, b)


def test_decoding_takes_the_greatest_entry_of_each_stage():
    few = space(sketch((16, 8), (16, 8)))
    assert list(few.options_of("layer1")) == ["none", "eca@residual", "se:r4@residual"]
    decoded = few.decode(np.array([0.1, 0.5, 0.4, -3.0, -2.0, -1.0]))
    assert str(decoded) == "layer1=eca@residual layer2=se:r4@residual"


def test_an_option_outside_the_space_is_encoded_as_zeros_and_has_no_position():
    without = space(blocks=["se", "eca"])
    assert not without.encode(without.plain).any()
    assert without.positions(without.plain) == [None] * len(without.names)
    for architecture in without.enumerate():
        stages = zip(without.positions(architecture), without.options, strict=True)
        assert tuple(options[i] for i, options in stages) == architecture.options


@pytest.mark.parametrize("vector", [np.zeros(3), np.full(12, np.nan), np.zeros((12, 1))])
def test_decoding_refuses_what_is_no_encoding(vector):
    with pytest.raises(ValueError, match="not a vector of 12 numbers"):
        space().decode(vector)


# Feasibility


def is_light(architecture: Architecture) -> bool:
    return sum(option.startswith("se:") for option in architecture.options) <= 1


@forty
@given(generators(), st.integers(1, 60))
def test_a_feasible_sample_is_feasible_and_found_where_all_are_looked_at(rng, tries):
    found = space().sample_feasible(rng, is_light, tries)
    assert found is None or is_light(found)
    if tries >= space().size:
        assert found is not None


def test_no_feasible_sample_is_none_after_so_many_tries():
    looked = []
    assert space().sample_feasible(np.random.default_rng(0), looked.append, 20) is None
    assert len(looked) == 20
    looked.clear()
    assert space().sample_feasible(np.random.default_rng(0), looked.append, 99) is None
    assert len(set(looked)) == len(looked) == space().size


@pytest.mark.parametrize("tries", [30, 200])
def test_feasible_samples_are_uniform_over_the_feasible(tries):
    rng = np.random.default_rng(6)
    counts = Counter(space().sample_feasible(rng, is_light, tries) for _ in range(1000))
    assert set(counts) == set(filter(is_light, space().enumerate()))
    assert chisquare(list(counts.values())).pvalue > 0.01


def test_the_feasible_share_of_a_small_space_is_counted():
    exact = sum(map(is_light, space().enumerate())) / space().size
    share = space().share_feasible(np.random.default_rng(0), is_light, samples=60)
    assert share == Share(exact, exact, exact)


def test_the_interval_of_the_feasible_share_is_where_the_count_is_2_5_percent_unlikely():
    share, low, high = space().share_feasible(np.random.default_rng(0), is_light, samples=59)
    hits = round(share * 59)
    assert 0 < hits < 59
    assert binom.sf(hits - 1, 59, low) == pytest.approx(0.025)
    assert binom.cdf(hits, 59, high) == pytest.approx(0.025)


@pytest.mark.parametrize(("feasible", "low", "high"), [(0, 0, 1 - 0.025**0.1), (1, 0.025**0.1, 1)])
def test_the_interval_is_one_sided_where_none_or_all_are_feasible(feasible, low, high):
    share = space().share_feasible(np.random.default_rng(0), lambda _: bool(feasible), samples=10)
    assert share == pytest.approx((feasible, low, high))


def test_a_share_of_no_samples_is_refused():
    with pytest.raises(ValueError, match=r"^samples is 0, but must be positive$"):
        space().share_feasible(np.random.default_rng(0), is_light, samples=0)


# Texts and errors


def test_the_description_states_the_size_and_the_options_per_stage():
    few = space(sketch((16, 8), (32, 8)), stages={"layer1": {"choice": "none"}})
    assert few.describe() == (
        "4 architectures of sketch\n"
        "  layer1    1  none\n"
        "  layer2    4  none, eca@residual, se:r4@residual, se:r8@residual"
    )
