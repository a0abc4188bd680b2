import numpy as np
import pytest

from attnas.core import InputError
from attnas.evaluator import load_data, make_task
from attnas.evaluator.data.image_masks import image_masks

from .images import noise, png, save

IMAGES, MASKS = noise(12, 8, 8, 3), noise(12, 8, 8, seed=1) % 3


def write(root, *, parts=("",), suffix="", names=("images", "masks"), masks=MASKS):
    for part in parts:
        for i, (image, mask) in enumerate(zip(IMAGES, masks, strict=True)):
            save(root / part / names[0] / f"{i:02}.png", png(image))
            save(root / part / names[1] / f"{i:02}{suffix}.png", png(mask))
    return root


def problem(root, **options) -> str:
    with pytest.raises(InputError) as caught:
        image_masks(str(root), **options)
    return str(caught.value)


def test_each_image_comes_with_its_mask(tmp_path):
    pools = image_masks(str(write(tmp_path)))
    assert (pools.train.inputs.numpy() == IMAGES.transpose(0, 3, 1, 2)).all()
    assert (pools.train.targets.numpy() == MASKS).all()
    assert pools.classes == ("0", "1", "2")


def test_parts_suffixes_folders_and_classes_may_be_named(tmp_path):
    root = write(tmp_path, parts=("train", "val"), suffix="_seg", names=("in", "out"))
    given = {"images": "in", "masks": "out", "mask_suffix": "_seg"}
    data = load_data(
        "image_masks", make_task("segmentation", {}), path=root, classes=["no", "a", "b"], **given
    )
    assert data.classes == ("no", "a", "b")
    assert data.facts["sizes"] == {"train": 10, "validation": 12, "test": 2}


def test_images_and_masks_are_scaled_alike(tmp_path):
    blocks = np.kron(noise(12, 4, 4) % 2, np.ones((2, 2), np.uint8))
    pools = image_masks(str(write(tmp_path, masks=blocks)), image_size=4)
    assert pools.train.inputs.shape == (12, 3, 4, 4)
    assert (pools.train.targets.numpy() == blocks[:, ::2, ::2]).all()


def test_what_is_missing_is_named(tmp_path):
    assert problem(tmp_path / "none") == (
        f"data.path: '{tmp_path / 'none'}' does not exist; a folder is needed."
    )
    assert problem(tmp_path) == f"data.images: '{tmp_path}' has no folder 'images'."
    (tmp_path / "images").mkdir()
    assert problem(tmp_path) == f"data.masks: '{tmp_path}' has no folder 'masks'."
    (tmp_path / "masks").mkdir()
    assert problem(tmp_path) == f"data.path: '{tmp_path / 'images'}' has no images."
    save(tmp_path / "images" / "a.png", png(IMAGES[0]))
    save(tmp_path / "images" / "b.png", png(IMAGES[0]))
    assert problem(tmp_path, mask_suffix="_m") == (
        f"data.path: '{tmp_path / 'images' / 'a.png'}' has no mask 'a_m' in "
        f"'{tmp_path / 'masks'}' (2 images have none). Add it or remove the image."
    )


@pytest.mark.parametrize("classes", [["one"], "background", []])
def test_class_names_must_be_two_or_more(tmp_path, classes):
    assert problem(write(tmp_path), classes=classes).startswith("data.classes: cannot be ")


def test_pixels_beyond_the_named_classes_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"a pixel of the train masks is 2; with 2 classes"):
        load_data(
            "image_masks",
            make_task("segmentation", {}),
            path=write(tmp_path),
            classes=["no", "yes"],
        )
