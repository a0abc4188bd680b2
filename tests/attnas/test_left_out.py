"""Blocks that are allowed and have no place are said by name."""

from attnas.config import SearchSpaceConfig, parse_config
from attnas.left_out import left_out
from attnas.search_loop import Observer, search
from attnas.search_space import Backbone

SMALL = Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (3, 4, 4), (10,))
"""Its maps are 4 x 4, 2 x 2 and 1 x 1."""


def notes(**given):
    given = {"ratios": [4], "placements": ["residual"], **given}
    return left_out(SearchSpaceConfig(**given), SMALL)


def test_what_fits_everywhere_is_not_mentioned():
    assert notes(blocks=["none", "se", "eca", "gates"]) == []


def test_a_block_that_fits_nowhere_or_in_some_stages_only_is_named_with_its_maps():
    assert notes(blocks=["mhsa"], placements=["pre"], ratios=[1]) == [
        "mhsa cannot be placed at pre in any stage (8 x 4 x 4 ... 16 x 2 x 2)"
    ]
    assert notes(blocks=["none", "cbam"]) == [
        "cbam cannot be placed at residual in layer3 (32 x 1 x 1)"
    ]


def test_a_stage_without_the_placement_is_named():
    stages = {"layer1": {"placements": ["attention"]}}
    assert notes(blocks=["none", "eca"], stages=stages) == [
        "eca cannot be placed at attention in layer1 (no such site)"
    ]


def test_a_ratio_that_a_stage_does_not_allow_is_named():
    narrow = Backbone("resnet_cifar", (("depth", 8), ("width", 4)), (3, 32, 32), (10,))
    space = SearchSpaceConfig(blocks=["none", "pat_ch"], ratios=[4, 8], placements=["residual"])
    assert left_out(space, narrow) == ["pat_ch cannot be placed at ratio 8 in layer1 (4 x 32 x 32)"]


def test_units_that_a_block_does_not_fit_are_counted_where_each_decides():
    deep = Backbone("resnet_cifar", (("depth", 14), ("width", 8)), (3, 4, 4), (10,))
    space = SearchSpaceConfig(blocks=["none", "cbam"], placements=["pre"], ratios=[4], per="unit")
    assert left_out(space, deep) == [
        "cbam can be placed in 1 of 2 units of layer3 (16 x 2 x 2 ... 32 x 1 x 1)"
    ]
    whole = left_out(space.model_copy(update={"per": "stage"}), deep)
    assert whole == ["cbam cannot be placed at pre in layer3 (16 x 2 x 2 ... 32 x 1 x 1)"]


def test_lists_of_a_stage_count_for_it():
    stages = {"layer1": {"blocks": ["none", "mhsa"]}, "layer2": {"choice": "none"}}
    found = notes(blocks=["none", "eca"], ratios=[1], placements=["pre"], stages=stages)
    assert found == ["mhsa cannot be placed at pre in layer1 (8 x 4 x 4)"]


class Notes(Observer):
    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)


def test_a_search_says_it_when_it_starts_and_not_when_it_goes_on(tmp_path):
    content = {
        "name": "short",
        "data": {"source": "digits", "train": 100, "validation": 50},
        "search_space": {
            "backbone": {"name": "resnet_cifar", "depth": 8, "width": 8},
            "blocks": ["none", "eca", "mhsa"],
            "placements": ["pre"],
            "ratios": [1],
        },
        "objectives": {"accuracy": "max", "params": "min"},
        "training": {"epochs": 1, "precision": "float32"},
        "budget": {"trials": 1},
    }
    first, second = Notes(), Notes()
    for observer in (first, second):
        search(parse_config(content), runs=tmp_path, observer=observer)
    said = [text for text in first.texts if "mhsa" in text]
    assert said == ["Note: mhsa cannot be placed at pre in any stage (8 x 8 x 8 ... 16 x 4 x 4)."]
    assert not any("mhsa" in text for text in second.texts)
