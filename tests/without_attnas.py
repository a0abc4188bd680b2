"""Runs code in a fresh process in which this package cannot be imported."""

import json
import subprocess
import sys
from pathlib import Path

BLOCKED = ("attnas", "safetensors")
"""What is written as source reads its weights by itself."""

_PREAMBLE = """\
import importlib, json, sys
import torch

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocked())
try:  # torchvision's wheel lacks its operators beside a torch for the CPU alone
    import torchvision
except (ImportError, RuntimeError):
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(operator + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
torch.manual_seed(1)
"""


def run_without_attnas(code: str, folder: Path, *, blocked: tuple[str, ...] = BLOCKED):
    """What the code prints as JSON on its last line."""
    settings = f"blocked = {blocked!r}\nimport sys\nsys.path.insert(0, {str(folder)!r})\n"
    done = subprocess.run(
        [sys.executable, "-c", settings + _PREAMBLE + code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
