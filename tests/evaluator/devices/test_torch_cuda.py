"""The GPU's logic with torch.cuda replaced, so that it is tested on any machine."""

import pytest
import torch
from torch import nn

from attnas.core import InputError
from attnas.evaluator import device
from attnas.evaluator.devices import torch_cuda as module


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU {index}")


def test_without_a_gpu_it_says_what_to_write(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError) as raised:
        device("torch-cuda")
    assert str(raised.value) == (
        "device.name: 'torch-cuda' needs an NVIDIA GPU and a PyTorch built for CUDA; PyTorch "
        f"{torch.__version__} sees none here. Write 'torch-cpu'."
    )


def test_a_gpu_that_is_not_there_is_refused(two_gpus):
    with pytest.raises(InputError) as raised:
        device("torch-cuda", index=2)
    assert str(raised.value) == "device.index: there is no GPU 2. Write a number from 0 to 1."


def test_the_network_goes_to_the_gpu_and_each_inference_waits_for_it(two_gpus, monkeypatch):
    waited, asked = [], {}

    def inference(network, batch_shape, *, place, memory_format, synchronize):
        asked.update(place=place, batch_shape=batch_shape)
        return synchronize

    monkeypatch.setattr(module, "inference", inference)
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    run = device("torch-cuda", index=1, batch_size=8).prepare(nn.Identity(), (3, 4, 4))
    run()
    assert asked == {"place": torch.device("cuda", 1), "batch_shape": (8, 3, 4, 4)}
    assert waited == [torch.device("cuda", 1)]


def test_the_description_names_the_gpu(two_gpus):
    described = device("torch-cuda", index=1).describe()
    assert described["gpu"] == "GPU 1"
    assert described["threads"] == 1
