import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attnas.evaluator.data import stored
from attnas.evaluator.data.inputs import chunks
from attnas.evaluator.data.stored import StoredArray

VALUES = np.random.default_rng(0).integers(0, 256, (20, 2, 3, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def array(tmp_path_factory):
    file = tmp_path_factory.mktemp("stored") / "a.bin"
    VALUES.tofile(file)
    return StoredArray(file, VALUES.shape)


@given(st.lists(st.integers(0, 19), min_size=1), st.slices(20))
def test_it_is_indexed_as_a_tensor_is(array, indices, part):
    whole = torch.from_numpy(VALUES)
    assert (array[torch.tensor(indices)] == whole[torch.tensor(indices)]).all()
    if (part.step or 1) > 0:
        assert (array[part] == whole[part]).all()


@given(st.lists(st.integers(0, 19), min_size=3), st.lists(st.integers(0, 2), min_size=1))
def test_items_of_items_are_taken_without_reading(array, first, second):
    taken = array.take_items(torch.tensor(first)).take_items(torch.tensor(second))
    assert taken.shape == (len(second), 2, 3, 3)
    assert (taken[:].numpy() == VALUES[np.array(first)[second]]).all()
    assert (taken[torch.tensor([0])].numpy() == VALUES[[first[second[0]]]]).all()


def test_what_is_read_is_the_reader_s_own(array):
    read = array[0:2]
    read.zero_()
    assert (array[0:2].numpy() == VALUES[:2]).all()


def test_floats_are_kept_as_floats(tmp_path):
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(4, 3)
    values.tofile(tmp_path / "f.bin")
    array = StoredArray(tmp_path / "f.bin", (4, 3), torch.float32)
    assert (array[torch.tensor([3, 1])].numpy() == values[[3, 1]]).all()


def test_another_process_reads_the_same(array):
    array[0:1]
    assert (pickle.loads(pickle.dumps(array))[:].numpy() == VALUES).all()


def test_pages_are_given_back(array, monkeypatch):
    monkeypatch.setattr(stored, "_KEPT", 10)
    assert (array[:].numpy() == VALUES).all()
    assert (array[:].numpy() == VALUES).all()


def test_chunks_are_all_items_in_their_order(array, monkeypatch):
    monkeypatch.setattr("attnas.evaluator.data.inputs._CHUNK_BYTES", 50)
    found = [*chunks(array)]
    assert [len(chunk) for chunk in found] == [2] * 10
    assert (torch.cat(found).numpy() == VALUES).all()
