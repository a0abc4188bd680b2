import numpy as np
import pytest
from PIL import Image

from attnas.core import InputError
from attnas.evaluator import load_data, make_task
from attnas.evaluator.data.folder import folder

TASK = make_task("classification", {})


def write(root, part, images: dict[str, int], shade: int = 0) -> None:
    """Images of one colour each: 40 times the class's place, plus a running number."""
    for place, (name, count) in enumerate(images.items()):
        target = root / part / name
        target.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            colour = (place * 40 + number, shade, 0)
            Image.new("RGB", (6, 5), colour).save(target / f"{number:03}.png")


def problem(**options) -> str:
    with pytest.raises(InputError) as caught:
        load_data("folder", TASK, **options)
    return str(caught.value)


def test_class_folders_are_classes_in_alphabetical_order(tmp_path):
    write(tmp_path, "", {"ant": 10, "bee": 12, "cow": 8})
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "ant" / "notes.txt").write_text("no image")
    pools = folder(str(tmp_path))
    assert pools.classes == ("ant", "bee", "cow")
    assert pools.train.targets.bincount().tolist() == [10, 12, 8]
    assert (pools.train.inputs[:, 0, 0, 0] // 40 == pools.train.targets).all()
    assert pools.train.inputs.shape == (30, 3, 5, 6)


@pytest.mark.parametrize("name", ["validation", "val"])
def test_train_validation_and_test_folders_are_the_parts(tmp_path, name):
    write(tmp_path, "train", {"ant": 6, "bee": 6}, shade=1)
    write(tmp_path, name, {"ant": 2, "bee": 1}, shade=2)
    write(tmp_path, "test", {"ant": 1, "bee": 3}, shade=3)
    data = load_data("folder", TASK, path=tmp_path)
    assert data.facts["class_counts"] == {"train": [6, 6], "validation": [2, 1], "test": [1, 3]}
    for pool, shade in ((data.train, 1), (data.validation, 2), (data.test, 3)):
        assert np.unique(pool.inputs[:, 1]).tolist() == [shade]


def test_two_folders_of_one_part_are_refused(tmp_path):
    for part in ("train", "val", "validation"):
        write(tmp_path, part, {"ant": 6, "bee": 6})
    assert problem(path=tmp_path) == (
        f"data.path: '{tmp_path}' has 'val' and 'validation', which are names of one part. "
        "Keep one of them, or put their images together."
    )


def test_a_second_reading_needs_no_decoding(tmp_path, monkeypatch):
    write(tmp_path, "images", {"ant": 6, "bee": 6})
    first = load_data("folder", TASK, path=tmp_path / "images").facts
    monkeypatch.setattr("attnas.evaluator.data.cache.decode_part", None)
    assert load_data("folder", TASK, path=tmp_path / "images").facts == first


def test_image_size_is_an_option(tmp_path):
    write(tmp_path, "", {"ant": 6, "bee": 6})
    assert load_data("folder", TASK, path=tmp_path, image_size=[3, 4]).input_shape == (3, 3, 4)


def test_what_is_wrong_with_a_folder_is_said(tmp_path):
    here = tmp_path / "images"
    assert problem(path=here) == (
        f"data.path: '{here}' does not exist; a folder of class folders is needed."
    )
    here.mkdir()
    assert problem(path=here) == f"data.path: '{here}' has no class folders."
    write(here, "", {"ant": 6})
    assert problem(path=here) == ("data: the images have 1 class (ant); two or more are needed.")
    (here / "bee").mkdir()
    (here / "bee" / "notes.txt").write_text("no image")
    assert problem(path=here) == (
        f"data.path: the class folder '{here / 'bee'}' has no images. Fill or remove it."
    )
    (here / "bee" / "1.jpg").write_text("no image either")
    assert problem(path=here) == (
        f"data.path: cannot decode {here / 'bee' / '1.jpg'}: not an image. Replace or remove it, "
        "or write 'bad_images: skip' to go on without it."
    )
    assert problem(path=here / "bee" / "1.jpg") == (
        f"data.path: '{here / 'bee' / '1.jpg'}' is a file; a folder of class folders is needed."
    )


def test_a_test_folder_with_a_class_of_its_own_is_refused(tmp_path):
    write(tmp_path, "train", {"ant": 6, "bee": 6})
    write(tmp_path, "test", {"ant": 2, "wasp": 2})
    assert problem(path=tmp_path) == (
        f"data.path: '{tmp_path / 'test' / 'wasp'}' is not a class: "
        "the training images have ant, bee."
    )
