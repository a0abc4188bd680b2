import pytest
import torch
from torch import nn

from attnas.core import InputError
from attnas.evaluator import device
from attnas.evaluator.devices.processor import cores


@pytest.fixture
def threads():
    """Torch's number of threads, two during the test."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield torch.get_num_threads
    torch.set_num_threads(before)


def test_threads_are_set_while_measuring_and_given_back(threads):
    with device("torch-cpu").measuring():
        assert threads() == 1
    assert threads() == 2
    with pytest.raises(KeyError), device("torch-cpu").measuring():
        raise KeyError
    assert threads() == 2


def test_more_threads_than_cores_are_refused():
    with pytest.raises(InputError) as raised:
        device("torch-cpu", threads=cores() + 1)
    assert str(raised.value) == (
        f"device.threads: {cores() + 1} is not possible here. "
        f"Write a whole number from 1 to {cores()}."
    )


def test_an_inference_runs():
    seen = []
    network = nn.Conv2d(3, 4, 3)
    network.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    device("torch-cpu", batch_size=5).prepare(network, (3, 8, 8))()
    assert seen == [(5, 4, 6, 6)]


def test_the_description_says_what_was_measured_on():
    described = device("torch-cpu", batch_size=2).describe()
    assert described["device"] == "torch-cpu"
    assert (described["threads"], described["batch_size"]) == (1, 2)
    assert described["torch"] == torch.__version__
    assert described["cpu"]
