import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnas.core import InputError
from attnas.search_space import NONE, AttentionOption

names = st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True)
options = st.just(NONE) | st.builds(
    AttentionOption, names.filter(lambda n: n != "none"), st.none() | st.integers(1, 999), names
)


@given(options)
def test_an_option_is_read_as_it_is_written(option):
    assert AttentionOption.parse(str(option)) == option


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("se:r8@residual", AttentionOption("se", 8, "residual")),
        (" eca@post\n", AttentionOption("eca", None, "post")),
        ("none", NONE),
        ("none:r8@post", NONE),
    ],
)
def test_texts_are_read_whatever_is_around_them_and_none_has_no_parameters(text, option):
    assert AttentionOption.parse(text) == option
    assert AttentionOption.parse(option) == option


@pytest.mark.parametrize(
    "text", ["", "se@", "se:8@post", "se:r@post", "SE:r8@post", "se:r8@post@pre", "se r8", None, 8]
)
def test_what_is_no_option_is_refused_with_examples(text):
    with pytest.raises(InputError) as caught:
        AttentionOption.parse(text)
    assert str(caught.value) == (
        f"cannot read the option '{text}'. Write 'none', 'eca@post' or 'se:r8@residual'."
    )


def test_a_block_without_a_placement_is_refused_with_one():
    with pytest.raises(InputError) as caught:
        AttentionOption.parse("se:r8")
    assert str(caught.value) == ("the option 'se:r8' lacks a placement. Write 'se:r8@residual'.")
