"""Trainings that give the same again, and leave the generators as they were."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """Leaves the global generators as they were; on CUDA, deterministic kernels.

    torch warns of an operator that has none such. cuBLAS is deterministic if its workspace is
    fixed, which it reads from the environment when the process first uses it.
    """
    if device.type == "cpu":  # its kernels are deterministic for a given number of threads
        with torch.random.fork_rng(devices=[]):
            yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    cudnn = torch.backends.cudnn
    asked = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    before = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False
    torch.use_deterministic_algorithms(True, warn_only=warned or not asked)
    try:
        with torch.random.fork_rng(device_type=device.type):
            yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before
        torch.use_deterministic_algorithms(asked, warn_only=warned)
