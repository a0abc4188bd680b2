import logging
import os
from pathlib import Path

import pytest
import torch

from attnas.evaluator.data.cache import cache_folder, decoded_once
from attnas.evaluator.data.pool import Pool, Pools


class Decoder:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Pools:
        self.calls += 1
        images = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).reshape(2, 3, 4, 4)
        pool = Pool(images, torch.tensor([0, 1]))
        test = Pool(255 - images, torch.tensor([1, 0]))
        return Pools(pool, classes=("ä", "b"), test=test)


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "images.parquet"
    path.write_bytes(b"1234")
    return path


def test_images_are_decoded_once(file):
    decode = Decoder()
    first, second = (decoded_once([file], {"image_size": None}, decode) for _ in range(2))
    assert decode.calls == 1
    assert second.classes == first.classes
    assert second.validation is None
    for name in ("train", "test"):
        assert (getattr(first, name).images == getattr(second, name).images).all()
        assert (getattr(first, name).labels == getattr(second, name).labels).all()


def test_a_changed_file_is_decoded_again(file):
    decode = Decoder()
    decoded_once([file], {}, decode)
    file.write_bytes(b"12345")
    decoded_once([file], {}, decode)
    os.utime(file, ns=(1, 1))
    decoded_once([file], {}, decode)
    assert decode.calls == 3


def test_other_settings_are_decoded_again(file):
    decode = Decoder()
    decoded_once([file], {"image_size": 8}, decode)
    decoded_once([file], {"image_size": 16}, decode)
    assert decode.calls == 2


def test_a_broken_entry_is_decoded_again_and_mended(file, own_cache, caplog):
    decode = Decoder()
    decoded_once([file], {}, decode)
    (entry,) = (own_cache / "data").iterdir()
    entry.write_bytes(b"broken")
    with caplog.at_level(logging.WARNING):
        assert len(decoded_once([file], {}, decode).train) == 2
    assert "cannot read" in caplog.text
    decoded_once([file], {}, decode)
    assert decode.calls == 2


def test_a_cache_that_cannot_be_written_costs_time_alone(file, own_cache, caplog):
    own_cache.write_text("a file where the folder should be")
    decode = Decoder()
    with caplog.at_level(logging.WARNING):
        assert len(decoded_once([file], {}, decode).train) == 2
    assert "decoded images are not kept" in caplog.text


def test_nothing_unfinished_is_left_behind(file, own_cache):
    decoded_once([file], {}, Decoder())
    assert [f.suffix for f in (own_cache / "data").iterdir()] == [".safetensors"]


def test_the_folder_is_attnas_cache_then_xdg_then_the_home(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setenv("ATTNAS_CACHE", "/own")
    assert cache_folder() == Path("/own")
    monkeypatch.delenv("ATTNAS_CACHE")
    assert cache_folder() == Path("/xdg/attnas")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/attnas")
