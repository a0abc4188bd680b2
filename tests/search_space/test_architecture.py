from dataclasses import dataclass

import pytest

from attnas.search_space import NONE, Architecture, Choice, InputError


@dataclass(frozen=True)
class Sketch:
    """A backbone that only names its stages."""

    stage_names: tuple[str, ...] = ("layer1", "layer2")
    name: str = "sketch"


SE = Choice("se", 8, "residual")


def test_an_architecture_is_read_by_stage_name_and_in_stage_order():
    read = Architecture.from_texts(Sketch(), {"layer2": "none", "layer1": "se:r8@residual"})
    assert read == Architecture(Sketch(), (SE, NONE))
    assert read == Architecture.from_texts(Sketch(), ["se:r8@residual", "none"])
    assert read.by_stage == {"layer1": SE, "layer2": NONE}
    assert str(read) == "layer1=se:r8@residual layer2=none"


def test_equal_architectures_are_one_key():
    keys = {Architecture(Sketch(), (SE, NONE)), Architecture(Sketch(), (SE, NONE))}
    assert len(keys) == 1
    keys.add(Architecture(Sketch(), (SE, NONE), identity_start=False))
    keys.add(Architecture(Sketch(name="other"), (SE, NONE)))
    assert len(keys) == 3


@pytest.mark.parametrize("identity_start", [True, False])
def test_the_plain_architecture_has_no_block(identity_start):
    plain = Architecture.plain(Sketch(), identity_start)
    assert plain == Architecture(Sketch(), (NONE, NONE), identity_start)
    assert plain.is_plain
    assert not Architecture(Sketch(), (NONE, SE)).is_plain


def test_a_wrong_number_of_choices_is_refused():
    with pytest.raises(ValueError, match=r"^1 choices for the 2 stages of sketch$"):
        Architecture(Sketch(), (NONE,))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            {"layer1": "none", "layer3": "none"},
            "choices are given for layer1, layer3; sketch has the stages layer1, layer2.",
        ),
        ({}, "choices are given for no stage; sketch has the stages layer1, layer2."),
        (["none"], "one choice is needed for each of the stages layer1, layer2, not 'none'."),
        (
            ["none"] * 3,
            "one choice is needed for each of the stages layer1, layer2, not 'none, none, none'.",
        ),
        ("none", "one choice is needed for each of the stages layer1, layer2, not 'none'."),
        (
            ["none", "se"],
            "layer2: the choice 'se' lacks a placement. Write 'se@residual'.",
        ),
    ],
)
def test_choices_that_are_not_one_per_stage_are_refused(texts, message):
    with pytest.raises(InputError) as caught:
        Architecture.from_texts(Sketch(), texts)
    assert str(caught.value) == message
