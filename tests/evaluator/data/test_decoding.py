import io

import numpy as np
import pytest
import torch
from PIL import Image

from attnas.evaluator.data.decoding import decode
from attnas.search_space import InputError


def png(array: np.ndarray, mode: str | None = None, **options) -> bytes:
    image = Image.fromarray(array)
    out = io.BytesIO()
    (image.convert(mode) if mode else image).save(out, "png", **options)
    return out.getvalue()


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def problem(encoded, image_size=None) -> str:
    with pytest.raises(InputError) as caught:
        decode(encoded, [f"row {i}" for i in range(len(encoded))], image_size)
    return str(caught.value)


def test_pixels_come_back_as_they_were_written():
    pixels = noise(3, 5, 4, 3)
    decoded = decode([png(p) for p in pixels], ["a", "b", "c"], None)
    assert decoded.dtype == torch.uint8
    assert (decoded.numpy() == pixels.transpose(0, 3, 1, 2)).all()


def test_grey_images_have_one_channel_unless_one_is_coloured():
    grey, colour = noise(5, 4), noise(5, 4, 3)
    assert (decode([png(grey)], ["a"], None).numpy() == grey).all()
    mixed = decode([png(grey), png(colour)], ["a", "b"], None).numpy()
    assert mixed.shape == (2, 3, 5, 4)
    assert (mixed[0] == grey).all()
    assert (mixed[1] == colour.transpose(2, 0, 1)).all()


def test_palettes_and_alpha_become_colours():
    decoded = decode([png(noise(4, 4, 3), "P"), png(noise(4, 4, 4))], ["a", "b"], None)
    assert decoded.shape == (2, 3, 4, 4)


def test_image_size_scales_and_cuts_at_the_centre():
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = 200  # the middle third is what a centred square holds
    tall = np.full((24, 8, 3), 90, np.uint8)
    decoded = decode([png(wide), png(tall)], ["a", "b"], 8)
    assert decoded.shape == (2, 3, 8, 8)
    assert decoded[0].unique().tolist() == [200]
    assert decoded[1].unique().tolist() == [90]
    assert decode([png(wide)], ["a"], (2, 6)).shape == (1, 3, 2, 6)


def test_images_that_lie_on_their_side_are_turned_upright():
    pixels = noise(3, 5, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to show
    decoded = decode([png(pixels, exif=exif)], ["a"], None)
    assert (decoded[0].permute(1, 2, 0).numpy() == np.rot90(pixels, -1)).all()


def test_what_is_no_image_is_named():
    assert problem([png(noise(4, 4, 3)), b"text"]) == (
        "data.path: cannot decode row 1: not an image. Replace or remove it."
    )


def test_a_truncated_image_is_named():
    whole = png(noise(40, 40, 3))
    message = problem([whole, whole, whole[: len(whole) // 2]])
    assert message.startswith("data.path: cannot decode row 2: ")
    assert message.endswith(". Replace or remove it.")


def test_images_of_16_bits_are_refused_rather_than_clipped():
    assert problem([png(noise(4, 4).astype(np.uint16) * 256)]) == (
        "data.path: row 0 has more than 8 bits a channel (mode I;16). Convert it to 8 bits."
    )


def test_sizes_that_differ_ask_for_one():
    assert problem([png(noise(4, 4, 3)), png(noise(4, 6, 3))]) == (
        "data.image_size: image sizes differ: row 0 is 4x4, row 1 4x6. "
        "Give one to scale to, such as 'image_size: 64'."
    )


@pytest.mark.parametrize("size", [0, [3], [4, -1], ["4", "4"], "64"])
def test_an_image_size_that_is_none_is_refused(size):
    assert problem([png(noise(4, 4, 3))], size) == (
        f"data.image_size: cannot read {size!r}. Write a side (64) or height and width ([48, 64])."
    )
