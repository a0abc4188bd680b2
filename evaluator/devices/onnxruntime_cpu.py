"""ONNX Runtime on this machine's processor."""

import contextlib
import copy
import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from attnas.core import AttnasError

from ..onnx_export import quiet_onnx
from .processor import cores, processor, processor_clock
from .registry import register_device, whole_number

_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


@register_device("onnxruntime-cpu")
@dataclass(frozen=True)
class OnnxRuntimeCpu:
    """ONNX Runtime's CPU provider on the exported graph, with all its optimisations."""

    threads: int = 1
    batch_size: int = 1

    name: ClassVar[str]
    fresh_processes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        whole_number(self.threads, "threads", most=cores())
        whole_number(self.batch_size, "batch_size")
        missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
        if missing:
            raise AttnasError(
                f"the device 'onnxruntime-cpu' needs {', '.join(missing)}. "
                "Install with `pip install 'attnas[onnx]'`."
            )

    def prepare(self, network: nn.Module, input_shape: tuple[int, ...]) -> Callable[[], None]:
        """As the protocol says.

        Raises:
            AttnasError: the network cannot be exported.
        """
        import onnxruntime

        images = torch.randn(
            (self.batch_size, *input_shape), generator=torch.Generator().manual_seed(0)
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        with _exported(network, images) as path:
            session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        feed = {session.get_inputs()[0].name: images.numpy()}
        return lambda: session.run(None, feed)

    @contextlib.contextmanager
    def measuring(self) -> Iterator[None]:
        """Each session has threads of its own; meanwhile a network is exported once."""
        before = _exports.get()
        with tempfile.TemporaryDirectory() as folder:
            _exports.set(_Exports(Path(folder), {}))
            try:
                yield
            finally:
                _exports.set(before)

    def clock(self) -> int:
        return processor_clock(self.threads)

    def describe(self) -> dict[str, Any]:
        import onnxruntime

        return {
            "device": self.name,
            "threads": self.threads,
            "batch_size": self.batch_size,
            **processor(),
            "torch": torch.__version__,
            "onnxruntime": onnxruntime.__version__,
        }


@dataclass(frozen=True)
class _Exports:
    """Exported files by network and input shape; holding the network keeps its id its own."""

    folder: Path
    files: dict[tuple[int, torch.Size], tuple[nn.Module, Path]]


_exports: ContextVar[_Exports | None] = ContextVar("_exports", default=None)


@contextlib.contextmanager
def _exported(network: nn.Module, images: torch.Tensor) -> Iterator[Path]:
    """The network's ONNX file; kept while latencies are measured, since exporting takes seconds."""
    kept = _exports.get()
    if kept is None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.onnx"
            _export(network, images, path)
            yield path
        return
    key = id(network), images.shape
    if key not in kept.files:
        path = kept.folder / f"{len(kept.files)}.onnx"
        _export(network, images, path)
        kept.files[key] = network, path
    yield kept.files[key][1]


def _export(network: nn.Module, images: torch.Tensor, path: Path) -> None:
    try:
        with quiet_onnx():
            torch.onnx.export(
                copy.deepcopy(network).eval().cpu(), (images,), path, dynamo=True, verbose=False
            )
    except (RuntimeError, torch.onnx.OnnxExporterError) as error:
        raise AttnasError(f"cannot export the network to ONNX: {error}") from error
