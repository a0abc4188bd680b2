import sys

import pytest
import torch
from torch import nn

from attnas.core import AttnasError
from attnas.evaluator import export_onnx
from attnas.search_space import Architecture, Backbone, build, stage_decisions


def test_the_onnx_export_names_the_missing_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(AttnasError) as caught:
        export_onnx(nn.Flatten(), (1, 2, 2), tmp_path / "best.onnx")
    assert str(caught.value) == (
        "the ONNX export needs the package 'onnx': pip install 'attnas[onnx]'."
    )


def test_a_network_that_onnx_cannot_hold_says_so(tmp_path, monkeypatch):
    pytest.importorskip("onnxscript")

    def refuse(*arguments, **options):
        raise torch.onnx.OnnxExporterError("no operator for aten::mystery\nmore for developers")

    monkeypatch.setattr("torch.onnx.export", refuse)
    network = nn.Flatten().train()
    with pytest.raises(AttnasError) as caught:
        export_onnx(network, (1, 2, 2), tmp_path / "best.onnx")
    assert str(caught.value) == (
        "the network cannot be written as ONNX: no operator for aten::mystery"
    )
    assert network.training
    assert list(tmp_path.glob("best*")) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    pytest.importorskip("onnxscript")
    path = tmp_path / "no" / "best.onnx"
    with pytest.raises(AttnasError) as caught:
        export_onnx(nn.Linear(2, 1), (2,), path)
    assert str(caught.value) == f"{path}: cannot be written: No such file or directory."


def same(path, network, input_shape, batches=(1, 3)):
    """The file computes what the network computes, on any number of inputs."""
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    network.eval()
    for batch in batches:
        inputs = torch.randn(batch, *input_shape)
        [outputs] = session.run(["logits"], {"images": inputs.numpy()})
        torch.testing.assert_close(
            torch.from_numpy(outputs), network(inputs).detach(), rtol=1e-4, atol=1e-5
        )


def test_an_onnx_file_computes_what_the_network_computes(tmp_path, capfd, recwarn):
    pytest.importorskip("onnxruntime")
    backbone = Backbone("resnet_cifar", (("depth", 8),), (3, 16, 16), (4,))
    options = ["eca@post", "none", "se:r8@residual"]
    chosen = Architecture.read(backbone, stage_decisions(backbone), options, identity_start=False)
    network = build(chosen, seed=5).train()
    frozen = next(m for m in network.modules() if isinstance(m, nn.BatchNorm2d)).eval()
    path = export_onnx(network, backbone.input_shape, tmp_path / "best.onnx")
    assert capfd.readouterr() == ("", "")  # the exporter has much to say
    assert list(recwarn) == []
    assert network.training
    assert not frozen.training
    same(path, network, backbone.input_shape)


@pytest.mark.parametrize(
    ("network", "input_shape"),
    [
        (nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.Flatten()), (2, 20)),
        (nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 3, 1)), (1, 8, 6)),
    ],
    ids=["signals", "masks"],
)
def test_networks_of_other_tasks_are_exported_too(tmp_path, network, input_shape):
    pytest.importorskip("onnxscript")
    same(export_onnx(network, input_shape, tmp_path / "net.onnx"), network, input_shape)
