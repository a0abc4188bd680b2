import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attnas.core import ItemScores

hits = arrays(bool, st.integers(1, 40))
numbers = arrays(np.float32, st.integers(1, 20), elements=st.floats(-9, 9, width=32))


@given(hits | numbers)
def test_scores_come_back_from_json_as_they_were(given_scores):
    scores = ItemScores.of("accuracy", given_scores)
    found = ItemScores.from_dict(json.loads(json.dumps(scores.to_dict(), allow_nan=False)))
    assert found == scores
    assert found.values.tolist() == given_scores.astype(np.float64).tolist()
    assert found.mean == pytest.approx(given_scores.astype(np.float64).mean())


def test_right_and_wrong_take_one_bit_an_item_the_first_one_most_significant():
    scores = ItemScores.of("accuracy", np.array([1, 0, 1, 1, 0, 0, 0, 0, 1], dtype=bool))
    assert scores == ItemScores("accuracy", 9, "bits", bytes([0b10110000, 0b10000000]))
    assert scores.values.dtype == np.float64
    assert scores.mean == 4 / 9


def test_numbers_are_little_endian_floats_whatever_they_were():
    expected = ItemScores("dice", 2, "float32", np.array([0.5, 2], dtype="<f4").tobytes())
    for dtype in (np.float64, ">f4", "<f4"):
        assert ItemScores.of("dice", np.array([0.5, 2], dtype=dtype)) == expected
    assert ItemScores.of("dice", np.array([0, 1])).kind == "float32"


def test_a_score_of_an_item_may_be_no_number():
    assert np.isnan(ItemScores.of("dice", np.array([np.nan, 1.0])).values).tolist() == [True, False]


@pytest.mark.parametrize(
    ("items", "kind", "content"),
    [
        (0, "bits", b""),
        (9, "bits", b"a"),
        (8, "bits", b"ab"),
        (2, "float32", b"abcdefg"),
        (-8, "bits", b""),
    ],
)
def test_content_that_is_not_one_score_an_item_is_refused(items, kind, content):
    with pytest.raises(ValueError, match="score") as caught:
        ItemScores("accuracy", items, kind, content)
    assert str(caught.value) == (
        f"{len(content)} bytes cannot hold one score for each of {items} items"
    )


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"^the kind of scores is bits or float32, not 'int8'$"):
        ItemScores("accuracy", 1, "int8", b"abcd")


STORED = ItemScores.of("dice", np.array([0.5, 1.0])).to_dict()


@pytest.mark.parametrize(
    "change",
    [
        {"content": "no base64!"},
        {"content": STORED["content"][:8]},
        {"content": "AAAA"},
        {"items": 3},
        {"items": "two"},
        {"kind": "int8"},
        {"kind": "bits"},
        {"content": None},
    ],
)
def test_what_is_damaged_is_refused(change):
    with pytest.raises((ValueError, TypeError)):
        ItemScores.from_dict(STORED | change)


@pytest.mark.parametrize("name", sorted(STORED))
def test_what_lacks_an_entry_is_refused(name):
    with pytest.raises(KeyError, match=name):
        ItemScores.from_dict({key: value for key, value in STORED.items() if key != name})
