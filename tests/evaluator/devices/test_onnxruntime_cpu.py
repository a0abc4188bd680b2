import importlib.util

import numpy as np
import pytest
import torch
from torch import nn

from attnas.core import AttnasError
from attnas.evaluator import device
from attnas.evaluator.devices import onnxruntime_cpu as module


def test_missing_packages_are_named_with_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name != "onnx" else name)
    with pytest.raises(AttnasError) as raised:
        device("onnxruntime-cpu")
    assert str(raised.value) == (
        "the device 'onnxruntime-cpu' needs onnxscript, onnxruntime. "
        "Install with `pip install 'attnas[onnx]'`."
    )


def test_the_exported_network_computes_what_torch_computes(monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    results = []
    session = onnxruntime.InferenceSession

    class Recording(session):
        def run(self, outputs, feed):
            results.append((feed, super().run(outputs, feed)))

    monkeypatch.setattr(onnxruntime, "InferenceSession", Recording)
    device("onnxruntime-cpu", batch_size=2).prepare(network, (3, 8, 8))()
    [(feed, [output])] = results
    [images] = feed.values()
    assert images.shape == (2, 3, 8, 8)
    with torch.no_grad():
        expected = network.eval()(torch.from_numpy(images))
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)
    assert device("onnxruntime-cpu").describe()["onnxruntime"] == onnxruntime.__version__


def test_a_network_is_exported_once_while_latencies_are_measured(monkeypatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    exported = []

    def export(network, images, path):
        exported.append((network, images.shape))
        really(network, images, path)

    really = module._export
    monkeypatch.setattr(module, "_export", export)
    first, second = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
    on = device("onnxruntime-cpu")
    with on.measuring():
        for network, shape in ((first, 8), (second, 8), (first, 8), (first, 9), (second, 8)):
            on.prepare(network, (3, shape, shape))()
    shapes = [(network, shape[-1]) for network, shape in exported]
    assert shapes == [(first, 8), (second, 8), (first, 9)]
    with on.measuring():
        on.prepare(first, (3, 8, 8))
    assert len(exported) == 4  # its weights may be others by now
    on.prepare(first, (3, 8, 8))()
    assert len(exported) == 5


def test_a_network_that_cannot_be_exported_is_an_error_to_act_on(monkeypatch):
    pytest.importorskip("onnxruntime")

    def fail(*args, **settings):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(module.torch.onnx, "export", fail)
    with pytest.raises(AttnasError) as raised:
        device("onnxruntime-cpu").prepare(nn.Identity(), (3, 8, 8))
    assert str(raised.value) == "cannot export the network to ONNX: no such operator"
