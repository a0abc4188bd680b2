import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnas.search_space import NONE, Choice, InputError

names = st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True)
choices = st.just(NONE) | st.builds(
    Choice, names.filter(lambda n: n != "none"), st.none() | st.integers(1, 999), names
)


@settings(deadline=None)
@given(choices)
def test_a_choice_is_read_as_it_is_written(choice):
    assert Choice.parse(str(choice)) == choice


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("se:r8@residual", Choice("se", 8, "residual")),
        (" eca@post\n", Choice("eca", None, "post")),
        ("none", NONE),
        ("none:r8@post", NONE),
    ],
)
def test_texts_are_read_whatever_is_around_them_and_none_has_no_parameters(text, choice):
    assert Choice.parse(text) == choice


@pytest.mark.parametrize(
    "text", ["", "se@", "se:8@post", "se:r@post", "SE:r8@post", "se:r8@post@pre", "se r8", None, 8]
)
def test_what_is_no_choice_is_refused_with_examples(text):
    with pytest.raises(InputError) as caught:
        Choice.parse(text)
    assert str(caught.value) == (
        f"cannot read the choice '{text}'. Write 'none', 'eca@post' or 'se:r8@residual'."
    )


def test_a_block_without_a_placement_is_refused_with_one():
    with pytest.raises(InputError) as caught:
        Choice.parse("se:r8")
    assert str(caught.value) == ("the choice 'se:r8' lacks a placement. Write 'se:r8@residual'.")
