import math
from typing import Annotated, Literal

import pytest
from pydantic import Field, field_validator

from attnas.core import InputError, OpenSection, Section, model_in, validated


class Stage(Section):
    blocks: list[str] | None = None
    depth: Annotated[list[int], Field(min_length=1)] = [1]  # noqa: RUF012


class Strategy(OpenSection):
    name: str


class Whole(Section):
    epochs: int = Field(default=3, ge=1, le=9)
    share: float = Field(default=0.5, gt=0, lt=1)
    size: int | float = 1
    small: bool = False
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")] = "run"
    precision: Literal["auto", "float32"] = "auto"
    stages: dict[str, Stage] = {}  # noqa: RUF012
    constraints: dict[str, str] = {}  # noqa: RUF012
    strategy: Strategy = Strategy(name="random")
    even: int = 2

    @field_validator("even")
    @classmethod
    def _is_even(cls, value):
        if value % 2:
            raise ValueError(f"must be even, not {value}")
        return value


def test_what_is_right_becomes_the_section():
    content = {
        "epochs": 5,
        "stages": {"layer1": {"blocks": ["se"]}},
        "strategy": {"name": "tpe", "seeds": [1]},
    }
    found = validated(Whole, content)
    assert found == Whole(
        epochs=5,
        stages={"layer1": Stage(blocks=["se"])},
        strategy=Strategy(name="tpe", seeds=[1]),
    )
    assert found.strategy.options == {"seeds": [1]}
    assert Whole().strategy.options == {}
    with pytest.raises(ValueError, match="frozen"):
        found.epochs = 7


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 5}, "epoch: unknown key 'epoch'. Did you mean 'epochs'?"),
        (
            {"stages": {"layer1": {"block": ["se"]}}},
            "stages.layer1.block: unknown key 'block'. Did you mean 'blocks'?",
        ),
        (
            {"stages": {"layer1": {"xyz": 1}}},
            "stages.layer1.xyz: unknown key 'xyz'. Known: blocks, depth.",
        ),
        ({"stages": {"layer1": ["se"]}}, "stages.layer1: must be a mapping of keys, not ['se']."),
        ({"stages": None}, "stages: must be a mapping of keys, not empty."),
        (
            {"stages": {"layer1": {"depth": []}}},
            "stages.layer1.depth: is empty: give at least one.",
        ),
        (
            {"stages": {"layer1": {"blocks": ["se", 3]}}},
            "stages.layer1.blocks[1]: must be a string, not 3.",
        ),
        (
            {"stages": {"layer1": {"blocks": "se"}}},
            "stages.layer1.blocks: must be a list, not 'se'.",
        ),
        ({"strategy": {"seeds": 3}}, "strategy.name: is missing."),
        ({"epochs": 0}, "epochs: must be at least 1, not 0."),
        ({"epochs": 10}, "epochs: must be at most 9, not 10."),
        ({"epochs": "many"}, "epochs: must be a whole number, not 'many'."),
        ({"epochs": 2.5}, "epochs: must be a whole number, not 2.5."),
        ({"epochs": None}, "epochs: must be a whole number, not empty."),
        ({"share": 0}, "share: must be above 0, not 0."),
        ({"share": 1.0}, "share: must be below 1, not 1.0."),
        ({"share": math.nan}, "share: must be a finite number, not nan."),
        ({"share": math.inf}, "share: must be a finite number, not inf."),
        ({"share": "half"}, "share: must be a number, not 'half'."),
        ({"size": "large"}, "size: must be a number, not 'large'."),
        ({"small": "perhaps"}, "small: must be true or false, not 'perhaps'."),
        (
            {"name": "a b"},
            "name: 'a b' may have letters, digits, '.', '_' and '-' only, and begins with a "
            "letter or digit.",
        ),
        ({"precision": "half"}, "precision: must be 'auto' or 'float32', not 'half'."),
        (
            {"constraints": {"latency_ms": 5}},
            "constraints.latency_ms: cannot read 5. Write it with its operator, as '<= 5'.",
        ),
        ({"even": 3}, "even: must be even, not 3."),
    ],
)
def test_what_is_wrong_is_told_with_its_key(content, message):
    with pytest.raises(InputError) as caught:
        validated(Whole, content)
    assert str(caught.value) == message


def test_every_mistake_is_told_on_a_line_of_its_own_with_file_and_place():
    with pytest.raises(InputError) as caught:
        validated(Whole, {"epochs": 0, "share": 2.0, "x": 1}, key="training", file="cpu.yaml")
    error = caught.value
    assert (error.key, error.file) == ("training.epochs", "cpu.yaml")
    assert str(error) == (
        "cpu.yaml: training.epochs: must be at least 1, not 0.\n"
        "cpu.yaml: training.share: must be below 1, not 2.0.\n"
        "cpu.yaml: training.x: unknown key 'x'. Known: constraints, epochs, even, name, precision, "
        "share, size, small, stages, strategy."
    )


def test_a_value_that_no_branch_of_a_type_takes_is_told_once():
    with pytest.raises(InputError) as caught:
        validated(Whole, {"size": "large"})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "section"),
    [
        (Stage, Stage),
        (Stage | None, Stage),
        (int | Stage | None, Stage),
        (int, None),
        (dict[str, Stage], None),
        (None, None),
    ],
)
def test_the_section_that_a_field_holds_is_found(annotation, section):
    assert model_in(annotation) is section
