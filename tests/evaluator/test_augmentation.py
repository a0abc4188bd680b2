import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attnas.evaluator.augmentation import Augmentation, resolve


def drawn(augment, shape, images, seed=0) -> Augmentation:
    return Augmentation(augment, shape, images, np.random.default_rng(seed))


def possible(image: np.ndarray, reach: int, flips: bool) -> set[bytes]:
    """Every crop of the reflected image, mirrored or not."""
    height, width = image.shape[1:]
    padded = np.pad(image, ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
    crops = [
        padded[:, y : y + height, x : x + width]
        for y in range(2 * reach + 1)
        for x in range(2 * reach + 1)
    ]
    mirrored = [crop[:, :, ::-1] for crop in crops] if flips else []
    return {np.ascontiguousarray(crop).tobytes() for crop in crops + mirrored}


@pytest.mark.parametrize("augment", ["crop", "flip_crop"])
def test_every_image_becomes_a_reflected_crop_of_itself(augment):
    shape = (3, 16, 24)
    images = np.random.default_rng(1).integers(0, 256, (40, *shape), dtype=np.uint8)
    result = drawn(augment, shape, 40)(torch.from_numpy(images), 0)
    assert result.dtype == torch.uint8
    seen = set()
    for before, after in zip(images, result.numpy(), strict=True):
        padded = np.pad(before, ((0, 0), (2, 2), (3, 3)), mode="reflect")
        crops = {
            (y, x, flip): padded[:, y : y + 16, x : x + 24][:, :, :: -1 if flip else 1].tobytes()
            for y in range(5)
            for x in range(7)
            for flip in (False, True)
        }
        found = [key for key, crop in crops.items() if crop == after.tobytes()]
        assert found
        seen.add(found[0])
    assert any(flip for _, _, flip in seen) == (augment == "flip_crop")
    assert len({y for y, _, _ in seen}) == 5
    assert len({x for _, x, _ in seen}) == 7


def test_without_augmentation_images_stay_as_they_are():
    images = torch.randint(256, (5, 3, 8, 8), dtype=torch.uint8)
    assert (drawn("none", (3, 8, 8), 5)(images, 0) == images).all()


@given(batch=st.integers(1, 9))
def test_the_draws_do_not_depend_on_how_the_epoch_is_cut_into_batches(batch):
    images = torch.arange(9 * 64, dtype=torch.int64).remainder(256).to(torch.uint8)
    images = images.reshape(9, 1, 8, 8)
    augmented = drawn("flip_crop", (1, 8, 8), 9)
    whole = augmented(images, 0)
    parts = [augmented(images[s : s + batch], s) for s in range(0, 9, batch)]
    assert (torch.cat(parts) == whole).all()


@pytest.mark.parametrize("side", [1, 2, 3])
def test_tiny_images_are_reflected_within_themselves(side):
    image = np.arange(side * side, dtype=np.uint8).reshape(1, side, side)
    images = torch.from_numpy(np.repeat(image[None], 20, 0))
    allowed = possible(image, 1, flips=False) if side > 1 else {image.tobytes()}
    for after in drawn("crop", (1, side, side), 20)(images, 0):
        assert np.ascontiguousarray(after.numpy()).tobytes() in allowed


def test_auto_mirrors_colour_images_alone():
    assert resolve("auto", 3) == "flip_crop"
    assert resolve("auto", 1) == "crop"
    assert resolve("none", 3) == "none"


@pytest.mark.parametrize("augment", ["none", "crop", "flip_crop"])
def test_maps_are_moved_as_the_images_are(augment):
    shape = (3, 16, 24)
    images = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (40, *shape), np.uint8))
    augmented = drawn(augment, shape, 40)
    for start, stop in ((0, 25), (25, 40)):
        moved = augmented(images[start:stop], start)
        maps = augmented.maps(images[start:stop, 1], start)
        assert maps.dtype == torch.uint8
        assert torch.equal(maps, moved[:, 1])
    assert torch.equal(maps, images[25:, 1]) == (augment == "none")


def test_a_map_keeps_the_value_of_pixels_without_a_class():
    masks = torch.full((6, 8, 8), 3, dtype=torch.uint8)
    masks[:, :, 4:] = 255
    moved = drawn("flip_crop", (1, 8, 8), 6).maps(masks, 0)
    assert set(moved.unique().tolist()) == {3, 255}
