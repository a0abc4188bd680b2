"""Every block leaves PyTorch's eager mode: torch.export, torch.compile, ONNX and ONNX Runtime.

All are exported as one network with an output for each block, since most of the time of an
export is spent once.
"""

import pytest
import torch
from torch import nn

from attnas.evaluator.onnx_export import quiet_onnx
from attnas.search_space import block

from .representatives import representatives

CHANNELS, MAP = 32, (6, 5)
BATCH = torch.export.Dim("batch", min=1, max=64)


class Every(nn.Module):
    """All blocks on one input; a mixer as it stands in place of a convolution."""

    def __init__(self, names):
        super().__init__()
        self.blocks = nn.ModuleList()
        for name in names:
            known = block(name).ratios
            ratio = known[len(known) // 2] if known else None
            made = block(name).make(CHANNELS, ratio, identity_start=False, size=MAP)
            self.blocks.append(made)

    def forward(self, x):
        return tuple(one(x) for one in self.blocks)


NAMES = representatives()


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Every(NAMES).eval()


def images(batch):
    return torch.randn(batch, CHANNELS, *MAP, generator=torch.Generator().manual_seed(batch))


@pytest.fixture(scope="module")
def exported(network):
    return torch.export.export(network, (images(2),), dynamic_shapes=({0: BATCH},))


def assert_all_close(found, expected, tolerance):
    for name, one, other in zip(NAMES, found, expected, strict=True):
        difference = (torch.as_tensor(one) - other).abs().max()
        assert difference < tolerance, name


def test_export_keeps_the_function_for_any_batch(network, exported):
    run = exported.module()
    for batch in (1, 3):
        assert_all_close(run(images(batch)), network(images(batch)), 1e-5)


def test_compilation_finds_one_graph_of_channels_last_maps(network):
    torch.compiler.reset()
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    x = images(2).to(memory_format=torch.channels_last)
    with torch.no_grad():
        assert_all_close(compiled(x), network(x), 1e-5)


def test_onnx_runtime_agrees_for_any_batch(network, exported, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    path = tmp_path / "blocks.onnx"
    with quiet_onnx():
        program = torch.onnx.export(
            exported,
            dynamo=True,
            opset_version=18,
            optimize=False,
            verbose=False,
        )
        program.save(path)
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    [given] = session.get_inputs()
    assert isinstance(given.shape[0], str)  # the name of a free dimension
    assert given.shape[1:] == [CHANNELS, *MAP]
    for batch in (1, 3):
        x = images(batch)
        assert_all_close(session.run(None, {given.name: x.numpy()}), network(x), 1e-4)
