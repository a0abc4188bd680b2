import itertools
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from attnas.core import InputError
from attnas.evaluator.data import cache, decoded_parts
from attnas.evaluator.data.cache import cache_folder, decoded_once
from attnas.evaluator.data.decoded_parts import Chunk
from attnas.evaluator.data.stored import StoredArray

from .images import noise, png


class Encoded:
    """A part that counts how often its images are asked for, and may fail at one."""

    def __init__(self, images, targets=None, masks=None, fails_at=None) -> None:
        self.images, self.masks, self.fails_at = list(images), masks, fails_at
        self.targets = targets
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self.images)

    def chunks(self, first, size):
        for start in range(first, len(self), size):
            these = slice(start, min(start + size, len(self)))
            if self.fails_at is not None and these.stop > self.fails_at:
                raise KeyboardInterrupt
            self.asked += range(these.start, these.stop)
            names = [f"image {i}" for i in range(these.start, these.stop)]
            masks = None if self.masks is None else self.masks[these]
            yield Chunk(names, self.images[these], masks)


LABELS = torch.arange(6) % 2
PIXELS = noise(6, 4, 5, 3)


def encoded(**other) -> Encoded:
    return Encoded(map(png, PIXELS), **({"targets": LABELS} | other))


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "images.parquet"
    path.write_bytes(b"1234")
    return path


def read(file, part=None, settings=None, **other):
    parts = {"train": part or encoded(), "test": encoded()}
    return decoded_once(parts, ("ä", "b"), [file], settings or {}, **other)


def test_images_are_decoded_once(file):
    first_part, second_part = encoded(), encoded()
    first, second = read(file, first_part), read(file, second_part)
    assert first_part.asked == [*range(6)] * 2  # for their sizes, and for their pixels
    assert second_part.asked == []
    assert second.classes == first.classes == ("ä", "b")
    assert second.validation is None
    assert second.sha256 == first.sha256
    for pools in (first, second):
        for pool in (pools.train, pools.test):
            assert (pool.inputs.numpy() == PIXELS.transpose(0, 3, 1, 2)).all()
            assert pool.targets.tolist() == LABELS.tolist()


def test_the_digest_is_that_of_all_inputs_and_targets(file):
    from dataclasses import replace

    pools = read(file)
    assert replace(pools, sha256="").digest() == pools.digest() == pools.sha256


def test_a_changed_file_or_another_setting_is_decoded_again(file):
    parts = [encoded() for _ in range(5)]
    read(file, parts[0])
    file.write_bytes(b"12345")
    read(file, parts[1])
    os.utime(file, ns=(1, 1))
    read(file, parts[2])
    read(file, parts[3], {"column": "b"})
    read(file, parts[4], image_size=3)
    assert all(part.asked for part in parts)


def test_what_was_decoded_before_a_stop_is_not_decoded_again(file, monkeypatch):
    monkeypatch.setattr(decoded_parts, "CHUNK", 2)
    read(file)
    whole = read(file)
    file.write_bytes(b"other")
    stopped = encoded()
    real = decoded_parts.decode_part

    def decode(part, *rest):
        for i, progress in enumerate(real(part, *rest)):
            yield progress
            if part is stopped and i == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr(cache, "decode_part", decode)
    with pytest.raises(KeyboardInterrupt):
        read(file, stopped)
    again = encoded()
    pools = read(file, again)
    assert again.asked == [4, 5]
    assert pools.sha256 == whole.sha256


def test_what_was_written_after_the_last_note_is_dropped(file, own_cache, monkeypatch):
    monkeypatch.setattr(decoded_parts, "CHUNK", 2)
    whole = read(file)
    file.write_bytes(b"other")
    written = itertools.count()

    def interrupt(_):
        if next(written) == 4:  # the third chunk is written, but not noted
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(decoded_parts.os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            read(file)
    assert read(file).sha256 == whole.sha256


@pytest.mark.parametrize("cut", [0, 7])
def test_files_that_are_not_what_they_were_are_decoded_again(file, own_cache, caplog, cut):
    whole = read(file)
    (stored,) = (own_cache / "data").glob("*/train.inputs.bin")
    content = bytearray(stored.read_bytes())
    content[3] ^= 1
    stored.write_bytes(content[: len(content) - cut])
    with caplog.at_level(logging.WARNING):
        assert read(file).sha256 == whole.sha256
    assert "is not what it was" in caplog.text


def test_a_copied_cache_is_not_decoded_again(file, own_cache):
    read(file)
    for stored in (own_cache / "data").glob("*/*.bin"):
        os.utime(stored, ns=(1, 1))
    part = encoded()
    read(file, part)
    assert part.asked == []


def test_a_broken_manifest_is_decoded_again(file, own_cache, caplog):
    whole = read(file)
    (manifest,) = (own_cache / "data").glob("*/manifest.json")
    manifest.write_text("{")
    with caplog.at_level(logging.WARNING):
        assert read(file).sha256 == whole.sha256
    assert "cannot read" in caplog.text


def test_a_cache_that_cannot_be_written_costs_time_alone(file, own_cache, caplog):
    own_cache.write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        pools = read(file)
    assert "decoded images are not kept" in caplog.text
    assert (pools.train.inputs.numpy() == PIXELS.transpose(0, 3, 1, 2)).all()


def test_what_does_not_fit_memory_is_read_when_indexed(file, monkeypatch):
    small = read(file)
    monkeypatch.setattr(cache, "IN_MEMORY", 100)
    large = read(file)
    assert isinstance(small.train.inputs, torch.Tensor)
    assert isinstance(large.train.inputs, StoredArray)
    assert (large.train.inputs[:] == small.train.inputs).all()


def test_bad_images_are_all_named_at_once(file):
    images = [png(p) for p in PIXELS]
    images[1], images[4] = b"text", images[4][:60]
    with pytest.raises(InputError) as caught:
        read(file, encoded_of(images))
    assert str(caught.value).startswith(
        "data.path: 2 of 12 images cannot be read: image 1 (not an image); image 4 ("
    )
    assert str(caught.value).endswith(
        "Replace or remove them, or write 'bad_images: skip' to go on without them."
    )


def encoded_of(images, **other) -> Encoded:
    return Encoded(images, **({"targets": LABELS} | other))


def test_many_bad_images_are_listed_in_a_file(file, own_cache, monkeypatch):
    monkeypatch.setattr(cache, "_SHOWN", 2)
    with pytest.raises(InputError, match=r"; \.\.\. all of them are listed in .*bad_images.txt"):
        read(file, encoded_of([b"text"] * 5 + [png(PIXELS[5])]))
    (listed,) = own_cache.rglob("bad_images.txt")
    assert listed.read_text().splitlines() == [f"image {i} (not an image)" for i in range(5)]


def test_bad_images_are_skipped_on_request_without_decoding_again(file, caplog):
    images = [png(p) for p in PIXELS]
    images[1] = b"text"
    with pytest.raises(InputError, match=r"cannot decode image 1: not an image\. Replace or"):
        read(file, encoded_of(images))
    part = encoded_of(images)
    with caplog.at_level(logging.WARNING):
        pools = read(file, part, bad_images="skip")
    assert part.asked == []
    assert "1 of 12 images cannot be read and are left out: image 1 (not an image)" in caplog.text
    assert pools.skipped == 1
    assert pools.train.targets.tolist() == [0, 0, 1, 0, 1]
    kept = np.delete(PIXELS, 1, axis=0).transpose(0, 3, 1, 2)
    assert (pools.train.inputs.numpy() == kept).all()


def test_where_no_image_can_be_read_there_is_nothing_to_go_on_with(file):
    parts = {"train": encoded_of([b"text"] * 6)}
    with pytest.raises(InputError) as caught:
        decoded_once(parts, ("a", "b"), [file], {}, bad_images="skip")
    assert "6 of 6 images cannot be read" in str(caught.value)
    assert "skip" not in str(caught.value)


def masked(numbers) -> Encoded:
    return encoded(targets=None, masks=[png(mask) for mask in numbers])


def test_masks_are_decoded_with_their_images(file):
    numbers = noise(6, 4, 5) % 4
    parts = {"train": masked(numbers)}
    pools = decoded_once(parts, (), [file], {})
    assert (pools.train.targets.numpy() == numbers).all()
    assert pools.classes == ("0", "1", "2", "3")
    assert pools.train.targets.dtype == torch.uint8


def test_black_and_white_masks_are_of_one_class(file):
    numbers = (noise(6, 4, 5) > 99) * np.uint8(255)
    pools = decoded_once({"train": masked(numbers)}, (), [file], {})
    assert (pools.train.targets.numpy() == numbers // 255).all()
    assert pools.classes == ("0", "1")


def test_an_image_goes_with_its_mask_if_either_is_bad(file):
    numbers = [png(mask) for mask in noise(6, 4, 5) % 3]
    numbers[2] = png(noise(9, 9))
    part = encoded(targets=None, masks=numbers)
    pools = decoded_once({"train": part}, (), [file], {}, bad_images="skip")
    assert len(pools.train.inputs) == len(pools.train.targets) == 5
    assert (pools.train.inputs[2].numpy() == PIXELS[3].transpose(2, 0, 1)).all()


def test_more_than_is_allowed_is_refused_before_decoding(file, own_cache):
    with pytest.raises(InputError) as caught:
        read(file, cache_gb=1e-7)
    assert str(caught.value) == (
        "data.cache_gb: 12 images of 3x4x5 take 0.0 MB decoded; 1e-07 GB are allowed. Raise it, "
        "or make the images smaller with 'image_size'."
    )


def test_more_than_the_disk_has_is_refused_before_decoding(file, monkeypatch):
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(InputError, match=r"0\.0 MB are free in .*ATTNAS_CACHE"):
        read(file)


def test_the_longest_unused_go_first(file, own_cache):
    for i in range(3):
        read(file, settings={"number": i})
        for manifest in (own_cache / "data").glob("*/manifest.json"):
            if manifest.stat().st_mtime > 1000:
                os.utime(manifest, (i, i))
    read(file, settings={"number": 0})  # used now, so the second is the oldest
    read(file, settings={"number": 3}, cache_gb=3.5e-9 * 2 * PIXELS.size)
    asked = {}
    for i in (0, 2, 3, 1):
        asked[i] = encoded()
        read(file, asked[i], {"number": i})
    assert [i for i, part in asked.items() if part.asked] == [1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bad_images": "ignore"}, "data.bad_images: cannot be 'ignore'. Write error or skip."),
        ({"cache_gb": 0}, "data.cache_gb: cannot be 0. Write a number of gigabytes."),
        ({"cache_gb": "9"}, "data.cache_gb: cannot be '9'. Write a number of gigabytes."),
        ({"cache_gb": True}, "data.cache_gb: cannot be True. Write a number of gigabytes."),
    ],
)
def test_settings_that_are_none_are_refused(file, given, message):
    with pytest.raises(InputError) as caught:
        read(file, **given)
    assert str(caught.value) == message


def test_the_folder_is_attnas_cache_then_xdg_then_the_home(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setenv("ATTNAS_CACHE", "/own")
    assert cache_folder() == Path("/own")
    monkeypatch.delenv("ATTNAS_CACHE")
    assert cache_folder() == Path("/xdg/attnas")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/attnas")
