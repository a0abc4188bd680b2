import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from attnas.search_space import Edit
from attnas.search_space.edits import kept


def edit(mode, path, what="what"):
    return Edit(mode, path, what, lambda identity_start: nn.Identity())


paths = st.lists(st.sampled_from(["a", "b", "ab", "1"]), min_size=1, max_size=3).map(".".join)
edits = st.lists(st.builds(edit, st.sampled_from(["at", "after", "remove"]), paths), max_size=6)


@pytest.mark.parametrize(
    ("path", "outer", "inside"),
    [
        ("layer1.0.conv", "layer1.0", True),
        ("layer1.0", "layer1.0", True),
        ("layer1.0", "layer1.0.conv", False),
        ("layer1.10", "layer1.1", False),
    ],
)
def test_an_edit_is_inside_of_the_module_of_its_path_and_of_those_around(path, outer, inside):
    assert edit("at", path).inside(outer) is inside


def test_edits_are_equal_whatever_makes_the_module():
    assert edit("at", "a") == edit("at", "a")
    assert len({edit("at", "a"), edit("at", "a")}) == 1
    assert edit("at", "a") != edit("after", "a")
    assert edit("at", "a") != edit("at", "b")
    assert edit("at", "a") != edit("at", "a", "other")


@given(edits)
def test_of_what_is_removed_nothing_else_is_edited(given_edits):
    removed = [e.path.split(".") for e in given_edits if e.mode == "remove"]
    expected = [
        e
        for e in given_edits
        if e.mode == "remove" or all(e.path.split(".")[: len(r)] != r for r in removed)
    ]
    assert kept(given_edits) == tuple(expected)


def test_without_a_removal_all_are_kept_in_their_order():
    given_edits = [edit("after", "b"), edit("at", "a"), edit("after", "b")]
    assert kept(iter(given_edits)) == tuple(given_edits)
