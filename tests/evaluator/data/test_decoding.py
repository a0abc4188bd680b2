import io

import numpy as np
import pytest
from PIL import Image

from attnas.core import InputError
from attnas.evaluator.data.decoded_parts import Chunk, layout_of
from attnas.evaluator.data.decoding import (
    BadImage,
    Header,
    Layout,
    each,
    header,
    height_width,
    mask,
    pixels,
)

from .images import noise, png


class Encoded:
    """A part of images alone."""

    targets = None

    def __init__(self, *images: bytes) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def chunks(self, first: int, size: int):
        for start in range(first, len(self.images), size):
            images = self.images[start : start + size]
            yield Chunk([f"row {start + i}" for i in range(len(images))], images)


def decoded(*images: bytes, image_size=None) -> np.ndarray:
    layout = layout_of({"train": Encoded(*images)}, height_width(image_size))
    return np.stack([pixels(image, layout) for image in images])


def saved(array: np.ndarray, kind: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, kind)
    return out.getvalue()


def test_pixels_come_back_as_they_were_written():
    colours = noise(3, 5, 4, 3)
    assert (decoded(*map(png, colours)) == colours.transpose(0, 3, 1, 2)).all()


def test_grey_images_have_one_channel_unless_one_is_coloured():
    grey, colour = noise(5, 4), noise(5, 4, 3)
    assert (decoded(png(grey))[:, 0] == grey).all()
    mixed = decoded(png(grey), png(colour))
    assert mixed.shape == (2, 3, 5, 4)
    assert (mixed[0] == grey).all()
    assert (mixed[1] == colour.transpose(2, 0, 1)).all()


def test_palettes_become_their_colours_and_alpha_is_dropped():
    colour = noise(4, 4, 3)
    palette = Image.fromarray(colour).convert("P")
    both = decoded(png(colour, "P"), png(noise(4, 4, 4)))
    assert both.shape == (2, 3, 4, 4)
    assert (both[0] == np.asarray(palette.convert("RGB")).transpose(2, 0, 1)).all()
    assert (both[1] == noise(4, 4, 4)[..., :3].transpose(2, 0, 1)).all()


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bits_are_brought_to_eight_over_their_whole_range(kind):
    levels = np.array([[0, 257, 256 * 128], [65535, 65278, 128]], np.uint16)
    grey = decoded(saved(levels, kind))
    assert grey.shape == (1, 1, 2, 3)
    assert grey[0, 0].tolist() == [[0, 1, 128], [255, 254, 0]]


def test_images_of_floats_cannot_be_read():
    with pytest.raises(BadImage, match="no levels of 8 or 16 bits"):
        pixels(saved(np.full((2, 2), 0.5, np.float32), "tiff"), Layout(2, 2, grey=True))


def test_image_size_scales_and_cuts_at_the_centre():
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = 200  # the middle third is what a centred square holds
    tall = np.full((24, 8, 3), 90, np.uint8)
    both = decoded(png(wide), png(tall), image_size=8)
    assert both.shape == (2, 3, 8, 8)
    assert np.unique(both[0]).tolist() == [200]
    assert np.unique(both[1]).tolist() == [90]
    assert decoded(png(wide), image_size=(2, 6)).shape == (1, 3, 2, 6)


def test_images_that_lie_on_their_side_are_turned_upright():
    colours, deep = noise(3, 5, 3), noise(3, 5).astype(np.uint16) * 257
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to show
    upright = decoded(png(colours, exif=exif))
    assert (upright[0].transpose(1, 2, 0) == np.rot90(colours, -1)).all()
    assert header(png(colours, exif=exif)) == Header((5, 3), grey=False)
    assert (decoded(png(deep, exif=exif))[0, 0] == np.rot90(deep // 257, -1)).all()


@pytest.mark.parametrize(
    ("broken", "problem"), [(b"text", "not an image"), (b"", "it has no bytes")]
)
def test_what_is_no_image_is_bad(broken, problem):
    with pytest.raises(BadImage, match=problem):
        header(broken)


def test_a_truncated_image_is_bad_once_its_pixels_are_read():
    whole = png(noise(40, 40, 3))
    cut = whole[: len(whole) // 2]
    assert header(cut).size == (40, 40)
    with pytest.raises(BadImage):
        pixels(cut, Layout(40, 40, grey=False))


def test_each_keeps_what_is_bad_in_its_place():
    found = each(header, [png(noise(4, 4)), b"text", png(noise(2, 3))])
    assert [type(item) for item in found] == [Header, BadImage, Header]


def test_masks_keep_their_numbers_and_are_not_mixed():
    numbers = np.array([[0, 1, 7], [255, 1, 0]], np.uint8)
    layout = Layout(2, 3, grey=False)
    assert (mask(png(numbers), layout) == numbers).all()
    palette = Image.fromarray(numbers, "P")
    palette.putpalette(noise(768).tolist())
    out = io.BytesIO()
    palette.save(out, "png")
    assert (mask(out.getvalue(), layout) == numbers).all()
    assert (mask(png(numbers > 0), layout) == (numbers > 0)).all()
    scaled = mask(png(np.kron(numbers, np.ones((5, 5), np.uint8))), layout)
    assert (scaled == numbers).all()


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (noise(2, 3, 3), "one channel of class numbers, not the mode RGB"),
        (np.full((2, 3), 300, np.uint16), "from 0 to 255"),
        (noise(4, 6), "the mask is 4x6, its image 2x3"),
    ],
)
def test_what_cannot_be_a_mask_is_bad(array, problem):
    with pytest.raises(BadImage, match=problem):
        mask(png(array), Layout(2, 3, grey=True), (2, 3))


def test_sizes_that_differ_ask_for_one():
    with pytest.raises(InputError) as caught:
        decoded(png(noise(4, 4, 3)), b"text", png(noise(4, 6, 3)))
    assert str(caught.value) == (
        "data.image_size: image sizes differ: row 0 is 4x4, row 2 4x6. "
        "Give one to scale to, such as 'image_size: 64'."
    )


@pytest.mark.parametrize("size", [0, [3], [4, -1], ["4", "4"], "64", True])
def test_an_image_size_that_is_none_is_refused(size):
    with pytest.raises(InputError) as caught:
        height_width(size)
    assert str(caught.value) == (
        f"data.image_size: cannot read {size!r}. Write a side (64) or height and width ([48, 64])."
    )
