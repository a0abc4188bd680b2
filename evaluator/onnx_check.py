"""Whether an ONNX file computes what its network computes."""

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from attnas.core import AttnasError

from .modes import evaluating

TOLERANCE = 1e-5
"""Of the greatest output."""
_ROUNDING = 10  # times what torch itself rounds, for networks that round more than TOLERANCE
_BATCHES = (1, 3)


@dataclass(frozen=True)
class OnnxDifference:
    """The greatest difference of outputs and what it may be, as shares of the greatest output."""

    greatest: float
    allowed: float

    @property
    def equal(self) -> bool:
        return self.greatest <= self.allowed


def onnx_difference(
    network: nn.Module, input_shape: tuple[int, ...], path: str | Path
) -> OnnxDifference | None:
    """Runs a file of `export_onnx` by ONNX Runtime, beside its network on the processor.

    On standard normal inputs, in batches of one and three. None if ONNX Runtime is not installed.

    Raises:
        AttnasError: ONNX Runtime cannot run the file.
    """
    try:
        import onnxruntime
    except ImportError:
        return None
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(size, *input_shape, generator=generator) for size in _BATCHES]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        given = [torch.from_numpy(session.run(None, {"images": b.numpy()})[0]) for b in batches]
    except Exception as error:  # it has no common class for them
        raise AttnasError(f"{path}: ONNX Runtime cannot run it: {error}.") from error
    with evaluating(network), torch.inference_mode():
        expected = [network(batch) for batch in batches]
    greatest = _difference(given, expected)
    allowed = TOLERANCE
    if greatest > TOLERANCE:
        allowed = max(TOLERANCE, _ROUNDING * _rounding(network, batches, expected))
    return OnnxDifference(greatest, allowed)


def _rounding(network: nn.Module, batches: list[Tensor], outputs: list[Tensor]) -> float:
    """What torch's outputs in single precision differ by from those in double precision."""
    double = copy.deepcopy(network).double().eval()
    try:
        with torch.inference_mode():
            return _difference(outputs, [double(batch.double()) for batch in batches])
    except RuntimeError:  # it makes tensors of single precision of its own
        return 0.0


def _difference(found: list[Tensor], expected: list[Tensor]) -> float:
    """The greatest difference as a share of the greatest expected value."""
    pairs = list(zip(found, expected, strict=True))
    greatest = max(float((a.double() - b.double()).abs().max()) for a, b in pairs)
    scale = max(float(b.abs().max()) for _, b in pairs)
    return greatest / scale if scale else greatest
