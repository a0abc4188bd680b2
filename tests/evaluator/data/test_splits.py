import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnas.core import InputError
from attnas.evaluator.data.splits import count, split_indices, stratified_order

labels_of_any_kind = st.lists(st.integers(0, 5), min_size=1, max_size=120).map(np.array)


@given(labels=labels_of_any_kind, seed=st.integers(0, 100), data=st.data())
def test_every_run_of_the_order_holds_each_class_in_proportion(labels, seed, data):
    order = stratified_order(labels, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(labels)))
    start = data.draw(st.integers(0, len(labels)))
    stop = data.draw(st.integers(start, len(labels)))
    for label in np.unique(labels):
        expected = (labels == label).mean() * (stop - start)
        classes = len(np.unique(labels))
        assert abs((labels[order[start:stop]] == label).sum() - expected) < 2 * classes


def test_balanced_classes_are_split_exactly():
    labels = np.repeat(np.arange(10), 100)
    parts = split_indices(labels, {"test": 200, "validation": 50, "train": None}, seed=3)
    counts = {name: np.bincount(labels[part]).tolist() for name, part in parts.items()}
    assert counts == {"test": [20] * 10, "validation": [5] * 10, "train": [75] * 10}


@given(labels=labels_of_any_kind.filter(lambda x: len(x) >= 3), seed=st.integers(0, 100))
def test_splits_share_no_image_and_leave_none_out(labels, seed):
    parts = split_indices(labels, {"test": 1, "validation": 1, "train": None}, seed=seed)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(labels)))


def test_the_seed_alone_draws_the_splits():
    labels = np.arange(300) % 3
    sizes = {"validation": 90, "train": 120}
    first, again, other = (split_indices(labels, sizes, seed=s) for s in (1, 1, 2))
    assert all((first[name] == again[name]).all() for name in sizes)
    assert (first["train"] != other["train"]).any()


def test_fewer_training_images_leave_the_others_alone_and_are_among_the_more():
    labels = np.arange(300) % 3
    few = split_indices(labels, {"validation": 90, "train": 30}, seed=1)
    many = split_indices(labels, {"validation": 90, "train": 120}, seed=1)
    assert (few["validation"] == many["validation"]).all()
    assert (few["train"] == many["train"][:30]).all()


@pytest.mark.parametrize(
    ("size", "images"), [(7, 7), (0.25, 50), (None, 20), (200, 200), (0.004, 1)]
)
def test_a_size_is_a_count_or_a_share(size, images):
    assert count(size, 0.1, 200, key="data.train") == images


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, "data.train: cannot read 0. Write a count (2000) or a share (0.2)."),
        (-0.5, "data.train: cannot read -0.5. Write a count (2000) or a share (0.2)."),
        (1.0, "data.train: cannot read 1.0. Write a count (2000) or a share (0.2)."),
        (True, "data.train: cannot read True. Write a count (2000) or a share (0.2)."),
        ("9", "data.train: cannot read '9'. Write a count (2000) or a share (0.2)."),
        (201, "data.train: 201 images are asked for; there are 200."),
        (0.001, "data.train: 0.001 of 200 images leave none. Ask for more."),
    ],
)
def test_a_size_that_cannot_be_met_is_said_to_be_so(size, message):
    with pytest.raises(InputError) as caught:
        count(size, 0.1, 200, key="data.train")
    assert str(caught.value) == message


def test_sizes_that_add_up_to_too_much_name_the_split_that_goes_short():
    with pytest.raises(InputError) as caught:
        split_indices(np.arange(100) % 2, {"validation": 70, "train": 40}, seed=0)
    assert str(caught.value) == (
        "data.train: 40 images are asked for, 30 of 100 are left beside 70 validation."
    )
