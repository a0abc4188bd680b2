import pytest
import torch
from torch import nn

from attnas.core import AttnasError
from attnas.evaluator import OnnxDifference, export_onnx, onnx_difference

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 3))
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    export_onnx(network, (1, 6, 6), path, facts={"classes": "[1]"})
    return network, path


def test_a_file_of_the_network_differs_by_rounding_alone(exported):
    network, path = exported
    network.train()
    found = onnx_difference(network, (1, 6, 6), path)
    assert found.equal
    assert found.greatest <= 1e-5
    assert network.training


def test_a_file_of_another_network_is_told(exported):
    network, path = exported
    with torch.no_grad():
        network[3].bias[0] += 1e-3
    try:
        found = onnx_difference(network, (1, 6, 6), path)
    finally:
        with torch.no_grad():
            network[3].bias[0] -= 1e-3
    assert not found.equal
    assert found.greatest > found.allowed
    assert found.allowed < 1e-4


def test_a_file_that_cannot_be_run_is_an_error(exported, tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"no model")
    with pytest.raises(AttnasError, match="ONNX Runtime cannot run it"):
        onnx_difference(exported[0], (1, 6, 6), tmp_path / "net.onnx")


def test_what_is_allowed_counts_as_equal():
    assert OnnxDifference(1e-5, 1e-5).equal
    assert not OnnxDifference(2e-5, 1e-5).equal
