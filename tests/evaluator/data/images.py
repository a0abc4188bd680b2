"""Small encoded images for the tests of sources."""

import io
from pathlib import Path

import numpy as np
from PIL import Image


def png(array: np.ndarray, mode: str | None = None, **options) -> bytes:
    image = Image.fromarray(array)
    out = io.BytesIO()
    (image.convert(mode) if mode else image).save(out, "png", **options)
    return out.getvalue()


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
