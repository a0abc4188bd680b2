"""Whether a device can be used here, found out without loading torch where that is possible."""

import importlib.util
from pathlib import Path

from attnas.core import AttnasError

from .registry import DEVICES, device

_NVIDIA = (Path("/proc/driver/nvidia"), Path("/dev/nvidiactl"), Path("/dev/dxg"))


def usable_here(name: str) -> str:
    """ "yes", or why the registered device of that name cannot be used on this machine.

    torch is asked only where there is a driver of NVIDIA's, or a device of somebody else.
    """
    if not DEVICES.summary(name):
        return _tried(name)
    if name == "torch-cpu":
        return "yes"
    if name == "onnxruntime-cpu":
        missing = [p for p in ("onnx", "onnxscript", "onnxruntime") if not _installed(p)]
        return f"needs {', '.join(missing)}: pip install 'attnas[onnx]'" if missing else "yes"
    if name == "torch-cuda" and not any(place.exists() for place in _NVIDIA):
        return "needs an NVIDIA GPU; there is no driver of one here"
    return _tried(name)


def _tried(name: str) -> str:
    try:
        device(name)
    except AttnasError as error:
        return str(error).removeprefix("device.name: ")
    return "yes"


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
