import contextlib
import sys
import types

import pytest

from attnas.core import InputError
from attnas.evaluator import DEVICES, Device, device, register_device
from attnas.evaluator.devices.torch_cpu import TorchCpu


class Mine:
    name, threads = "mine", 1

    def __init__(self, batch_size: int = 1):
        self.batch_size = batch_size

    def prepare(self, network, input_shape):
        return lambda: None

    def measuring(self):
        return contextlib.nullcontext()

    def clock(self):
        return 0

    def describe(self):
        return {}


@pytest.fixture
def own_module(monkeypatch):
    module = types.ModuleType("somebodys_lab")
    module.Mine, module.Half, module.number = Mine, type("Half", (), {"name": "half"}), 3
    monkeypatch.setitem(sys.modules, "somebodys_lab", module)


def test_every_device_of_the_folder_is_known():
    assert list(DEVICES) == ["onnxruntime-cpu", "torch-cpu", "torch-cuda"]
    assert all(cls.name == name and cls.__doc__ for name, cls in DEVICES.items())


def test_settings_reach_the_device():
    made = device("torch-cpu", batch_size=4)
    assert made == TorchCpu(threads=1, batch_size=4)
    assert isinstance(made, Device)
    assert device() == TorchCpu()


def test_a_device_of_ones_own_is_found_by_its_path(own_module):
    made = device("somebodys_lab:Mine", batch_size=3)
    assert (made.name, made.batch_size) == ("mine", 3)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        (
            "torch-cpus",
            {},
            "device.name: unknown device 'torch-cpus'. Did you mean 'torch-cpu'? "
            "`attnas devices` lists all.",
        ),
        (
            "torch-cpu",
            {"thread": 1},
            "device.thread: unknown setting of device torch-cpu 'thread'. Did you mean 'threads'?",
        ),
        (
            "torch-cpu",
            {"batch_size": 0},
            "device.batch_size: 0 is not possible here. Write a whole number from 1 up.",
        ),
        (
            "torch-cpu",
            {"batch_size": "4"},
            "device.batch_size: '4' is not possible here. Write a whole number from 1 up.",
        ),
        (
            "somebodys_lab:Mine",
            {"threads": 2},
            "device.threads: unknown setting of device somebodys_lab:Mine 'threads'. "
            "Known: batch_size.",
        ),
        (
            "somebodys_lab:Yours",
            {},
            "device.name: 'somebodys_lab' has no class 'Yours'.",
        ),
        (
            "somebodys_lab:number",
            {},
            "device.name: 'somebodys_lab' has no class 'number'.",
        ),
        (
            "somebodys_lab:Half",
            {},
            "device.name: somebodys_lab:Half is no device: it lacks threads, batch_size, "
            "prepare, measuring, clock, describe.",
        ),
        (
            "no_such_lab:Mine",
            {},
            "device.name: cannot import 'no_such_lab' of 'no_such_lab:Mine': "
            "ModuleNotFoundError: No module named 'no_such_lab'. It must be installed or lie in "
            "the working directory.",
        ),
    ],
)
def test_wrong_names_and_settings_are_explained(own_module, name, settings, message):
    with pytest.raises(InputError) as raised:
        device(name, **settings)
    assert str(raised.value) == message


def test_a_name_cannot_be_taken_twice():
    with pytest.raises(
        ValueError,
        match=r"^device 'torch-cpu' is .*torch_cpu\.TorchCpu already; register .*\.Mine under ",
    ):
        register_device("torch-cpu")(Mine)
    assert DEVICES["torch-cpu"] is TorchCpu
