"""Networks as ONNX."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from attnas.core import AttnasError

from .modes import evaluating


def export_onnx(
    network: nn.Module,
    input_shape: tuple[int, ...],
    path: str | Path,
    *,
    facts: Mapping[str, str] | None = None,
) -> Path:
    """Writes a network in eval mode as ONNX, with the batch as a free dimension.

    `input_shape` is that of one float32 input, such as (channels, height, width); the input is
    named `images`, the output `logits`. `facts` become the file's metadata. The modes of the
    network's modules are left as they were.

    Raises:
        AttnasError: the packages of the extra `onnx` are missing, the network has an
            operation that ONNX does not, or the file cannot be written.
    """
    try:
        import onnx  # noqa: F401 (torch's exporter needs both)
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise AttnasError(
            f"the ONNX export needs the package '{error.name}': pip install 'attnas[onnx]'."
        ) from error
    weight = next(network.parameters(), None)
    device = "cpu" if weight is None else weight.device
    example = torch.zeros(2, *input_shape, device=device)
    try:
        with evaluating(network), quiet_onnx():
            program = torch.onnx.export(
                network,
                (example,),
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                dynamo=True,
                verbose=False,
            )
            assert program is not None  # with dynamo=True it is never None
            program.model.metadata_props.update(facts or {})
            program.save(str(path))
    except OSError as error:
        raise AttnasError(f"{path}: cannot be written: {error.strerror or error}.") from error
    except (RuntimeError, torch.onnx.OnnxExporterError) as error:
        said = str(error).strip().splitlines()[0]
        raise AttnasError(f"the network cannot be written as ONNX: {said}") from error
    return Path(path)


@contextmanager
def quiet_onnx() -> Iterator[None]:
    """Without the exporter's warnings: of packages that the network does not need, and others."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
