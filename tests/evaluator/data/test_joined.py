"""Two pools as one, in memory and in files."""

import pytest
import torch

from attnas.evaluator.data.joined import JoinedInputs, joined
from attnas.evaluator.data.pool import Pool
from attnas.evaluator.data.stored import StoredArray


def numbered(start, count):
    return torch.arange(start, start + count, dtype=torch.uint8)[:, None].repeat(1, 3)


@pytest.fixture
def pools(tmp_path):
    (tmp_path / "raw").write_bytes(numbered(0, 20).numpy().tobytes())
    whole = StoredArray(tmp_path / "raw", (20, 3))
    return Pool(whole, torch.arange(20)), Pool(numbered(20, 5), torch.arange(20, 25))


def test_tensors_are_put_together_in_memory(pools):
    second = pools[1]
    both = joined(second, second)
    assert isinstance(both.inputs, torch.Tensor)
    assert both.inputs[:, 0].tolist() == both.targets.tolist() == [*range(20, 25)] * 2


def test_what_is_in_a_file_stays_there(pools):
    both = joined(*pools)
    assert isinstance(both.inputs, JoinedInputs)
    assert len(both.inputs) == len(both.targets) == 25
    assert both.inputs[18:22][:, 0].tolist() == [18, 19, 20, 21]
    chosen = torch.tensor([24, 0, 19, 20, 3])
    assert both.inputs[chosen][:, 0].tolist() == chosen.tolist()
    assert both.inputs[chosen].dtype == torch.uint8


def test_items_are_taken_of_taken_ones(pools):
    taken = joined(*pools).inputs.take_items(torch.tensor([23, 1, 20]))
    again = taken.take_items(torch.tensor([2, 0]))
    assert taken.shape == (3, 3)
    assert again[:][:, 0].tolist() == [20, 23]
    assert again[torch.tensor([], dtype=torch.long)].shape == (0, 3)
