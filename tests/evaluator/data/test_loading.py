import hashlib
import json
import sys

import pytest
import torch

from attnas.core import InputError
from attnas.evaluator import SOURCES, Pool, Pools, load_data, make_task, register_source

TASK = make_task("classification", {})

OWN = """
import torch
from attnas.evaluator.data import Pool, Pools

def coloured(path=None, size=4, count=60):
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(256, (count, 3, size, size), dtype=torch.uint8, generator=rng)
    return Pools(Pool(images, torch.arange(count) % 3), classes=("a", "b", "c"))

def lopsided():
    pool = Pool(torch.zeros(20, 1, 4, 4, dtype=torch.uint8), torch.tensor([0] * 18 + [1] * 2))
    return Pools(pool, classes=("a", "b"), test=pool, validation=pool)

def wrong_type():
    return [1, 2]

def floats():
    inputs = torch.zeros(6, 1, 4, 4, dtype=torch.float64)
    return Pools(Pool(inputs, torch.arange(6) % 2), classes=("a", "b"))

def flat():
    return Pools(Pool(torch.zeros(6, 4, 4, dtype=torch.uint8), torch.arange(6) % 2), ("a", "b"))

def no_axis():
    return Pools(Pool(torch.zeros(6), torch.arange(6) % 2), ("a", "b"))

def no_integers():
    pool = Pool(torch.zeros(6, 1, 4, 4, dtype=torch.uint8), torch.arange(6.0) % 2)
    return Pools(pool, ("a", "b"))

def signals(shift=0.0):
    rng = torch.Generator().manual_seed(0)
    inputs = torch.randn(60, 2, 50, generator=rng)
    inputs[0, 0, 0] += shift
    return Pools(Pool(inputs, torch.arange(60) % 3), classes=("a", "b", "c"))

def short_labels():
    return Pools(Pool(torch.zeros(6, 1, 4, 4, dtype=torch.uint8), torch.arange(5) % 2), ("a", "b"))

def one_class():
    return Pools(Pool(torch.zeros(6, 1, 4, 4, dtype=torch.uint8), torch.arange(6) * 0), ("a",))

def from_one():
    pool = Pool(torch.zeros(6, 1, 4, 4, dtype=torch.uint8), torch.arange(6) % 2 + 1)
    return Pools(pool, classes=("a", "b", "c"))

def beyond():
    return Pools(Pool(torch.zeros(6, 1, 4, 4, dtype=torch.uint8), torch.arange(6) % 3), ("a", "b"))

def unseen():
    pool = Pool(torch.zeros(6, 1, 4, 4, dtype=torch.uint8), torch.arange(6) % 2)
    return Pools(pool, classes=("a", "b", "c"))

def unlike_test():
    small = Pool(torch.zeros(6, 1, 2, 2, dtype=torch.uint8), torch.arange(6) % 2)
    large = Pool(torch.zeros(6, 1, 4, 4, dtype=torch.uint8), torch.arange(6) % 2)
    return Pools(large, classes=("a", "b"), test=small)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_images.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own_images", raising=False)
    yield "own_images"
    sys.modules.pop("own_images", None)


def load(source, task=TASK, **settings):
    return load_data(source, task, **settings)


def problem(*args, **kwargs) -> str:
    with pytest.raises(InputError) as caught:
        load(*args, **kwargs)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_the_sources_are_those_of_the_folder():
    images = ["cluttered_digits", "digits", "folder", "image_masks", "npz", "parquet", "shapes"]
    assert list(SOURCES) == [*images, "signals"]


def test_digits_are_the_embedded_images_on_a_scale_of_256():
    from sklearn.datasets import load_digits

    data = load("digits")
    assert data.input_shape == (1, 8, 8)
    assert data.classes == tuple("0123456789")
    assert data.facts["sizes"] == {"train": 1079, "validation": 359, "test": 359}
    pools = [data.test, data.validation, data.train]
    together = torch.cat([pool.inputs for pool in pools]).double().sort(0).values
    original = torch.from_numpy(load_digits().images)[:, None].mul(255 / 16).sort(0).values
    assert (together - original).abs().max() <= 0.5


def test_no_image_is_in_two_splits(own):
    data = load(f"{own}:coloured", train=0.5, validation=12, test=9)
    rows = [
        {image.numpy().tobytes() for image in pool.inputs}
        for pool in (data.train, data.validation, data.test)
    ]
    assert [len(row) for row in rows] == [30, 12, 9]
    assert len(set.union(*rows)) == 51


def test_images_keep_their_labels_through_the_split(own):
    data = load(f"{own}:coloured", train=0.5, validation=12, test=9)
    namespace = {}
    exec(OWN, namespace)
    source = namespace["coloured"]().train
    label_of = {
        i.numpy().tobytes(): int(n) for i, n in zip(source.inputs, source.targets, strict=True)
    }
    for pool in (data.train, data.validation, data.test):
        for image, label in zip(pool.inputs, pool.targets, strict=True):
            assert label_of[image.numpy().tobytes()] == label


def test_facts_are_json_and_tell_the_same_data_from_other_data(own):
    first, again = load(f"{own}:coloured"), load(f"{own}:coloured")
    assert json.loads(json.dumps(first.facts)) == first.facts == again.facts
    split = load(f"{own}:coloured", split_seed=1).facts
    assert split["splits_sha256"] != first.facts["splits_sha256"]
    assert split["data_sha256"] == first.facts["data_sha256"]
    assert load(f"{own}:coloured", count=63).facts["data_sha256"] != split["data_sha256"]
    assert first.facts["class_counts"] == {
        "train": [12, 12, 12],
        "validation": [4, 4, 4],
        "test": [4, 4, 4],
    }


def test_signals_are_split_like_images_and_their_digest_tells_small_changes(own):
    data = load(f"{own}:signals", train=0.5, validation=12, test=9)
    assert data.input_shape == (2, 50)
    assert [len(p) for p in (data.train, data.validation, data.test)] == [30, 12, 9]
    assert data.train.inputs.dtype == torch.float32
    assert json.loads(json.dumps(data.facts)) == data.facts
    shifted = load(f"{own}:signals", shift=1e-6).facts
    assert shifted["data_sha256"] != data.facts["data_sha256"]


class Grouping:
    """A task of a user's, as far as loading asks it: groups by the parity of the label."""

    def __init__(self):
        self.checked = []

    def check(self, pools):
        self.checked.append(pools.classes)
        return pools

    def strata(self, targets):
        return targets.numpy() % 2

    def data_facts(self, data):
        return {"training_items": len(data.train)}


def test_the_task_checks_the_targets_groups_them_and_adds_its_facts(own):
    task = Grouping()
    data = load(f"{own}:coloured", task, test=0.3, validation=0.3)
    assert task.checked == [("a", "b", "c")]
    assert data.facts["training_items"] == len(data.train) == 24
    for pool in (data.train, data.validation, data.test):
        assert (pool.targets % 2 == 1).float().mean() == pytest.approx(1 / 3, abs=0.03)


def test_the_data_digest_is_that_of_the_pixels_and_labels(own):
    namespace = {}
    exec(OWN, namespace)
    pool: Pool = namespace["coloured"]().train
    expected = hashlib.sha256(
        b"train (60, 3, 4, 4)" + pool.inputs.numpy().tobytes() + pool.targets.numpy().tobytes()
    ).hexdigest()
    assert load(f"{own}:coloured").facts["data_sha256"] == expected


def test_parts_of_the_source_are_used_whole_unless_a_size_says_otherwise(own):
    data = load(f"{own}:lopsided")
    assert data.facts["sizes"] == {"train": 20, "validation": 20, "test": 20}
    data = load(f"{own}:lopsided", test=0.5)
    assert data.facts["class_counts"]["test"] == [9, 1]


def test_the_first_images_of_a_split_are_stratified(own):
    data = load(f"{own}:coloured", validation=30)
    assert data.validation.first(9).targets.bincount().tolist() == [3, 3, 3]


def test_global_generators_do_not_change_the_split():
    first = load("digits")
    torch.manual_seed(123)
    assert load("digits").facts == first.facts


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            {"source": "parqet"},
            "data.source: unknown data source 'parqet'. Did you mean 'parquet'? "
            "Your own is written 'package.module:function'.",
        ),
        (
            {"source": "no_such_package.inputs:read"},
            "data.source: cannot import 'no_such_package.inputs' of 'no_such_package.inputs:read': "
            "ModuleNotFoundError: No module named 'no_such_package'. It must be installed or lie "
            "in the working directory.",
        ),
        ({"source": "json:read"}, "data.source: 'json' has no function 'read'."),
        ({"source": ":read"}, "data.source: cannot read ':read'. Write 'package.module:function'."),
        (
            {"source": "digits", "path": "here"},
            "data.path: the source 'digits' reads no path. Leave it out.",
        ),
        ({"source": "npz"}, "data.path: the source 'npz' needs it."),
        (
            {"source": "folder", "path": ".", "image_sizes": 8},
            "data.image_sizes: unknown option of source folder 'image_sizes'. "
            "Did you mean 'image_size'?",
        ),
        (
            {"source": "digits", "image_size": 8},
            "data.image_size: the source 'digits' has no option 'image_size'.",
        ),
        (
            {"source": "digits", "train": 2000},
            "data.train: 2000 images are asked for; there are 1797.",
        ),
        (
            {"source": "digits", "train": 1500, "validation": 200},
            "data.train: 1500 images are asked for, 1238 of 1797 are left beside 359 test, "
            "200 validation.",
        ),
    ],
)
def test_a_wrong_request_is_said_with_its_key(call, message):
    assert problem(**call) == message


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            "wrong_type",
            "data.source: 'own_images:wrong_type' returned list; attnas.evaluator.Pools is needed.",
        ),
        (
            "floats",
            "data: the train inputs are torch.float64; torch.uint8 (images) or torch.float32 is "
            "needed.",
        ),
        (
            "flat",
            "data: the train images are torch.uint8 of shape (6, 4, 4); "
            "torch.uint8 of shape (N, C, H, W) is needed.",
        ),
        (
            "no_axis",
            "data: the train part has inputs of shape (6,) and targets of shape (6,); "
            "there must be one target for each input.",
        ),
        (
            "short_labels",
            "data: the train part has inputs of shape (6, 1, 4, 4) and targets of shape (5,); "
            "there must be one target for each input.",
        ),
        (
            "no_integers",
            "data: the train labels are torch.float32 of shape (6,); "
            "torch.int64 of shape (6,) is needed to classify.",
        ),
        ("one_class", "data: the images have 1 class (a); two or more are needed."),
        ("from_one", "data: the labels start at 1; they must start at 0."),
        (
            "beyond",
            "data: the train labels run from 0 to 2; with 2 classes they must run from 0 to 1.",
        ),
        ("unseen", "data: no training image of the class 'c'."),
        (
            "unlike_test",
            "data: test images are 1x2x2, training images 1x4x4; one size is needed.",
        ),
    ],
)
def test_what_a_source_may_not_return(own, function, message):
    assert problem(f"{own}:{function}") == message


def test_a_class_that_the_split_leaves_without_training_images_is_named(own):
    assert problem(f"{own}:lopsided", train=1) == (
        "data.train: the class 'a' gets no training image."
    )


def test_numbers_beyond_all_images_are_no_labels():
    from attnas.evaluator.data.pool import numbered_classes

    pool = Pool(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 1, 2**40]))
    assert numbered_classes({"train": pool}) == ()
    with pytest.raises(InputError) as caught:
        make_task("classification", {}).check(Pools(pool, ()))
    assert str(caught.value) == "data: a label is 1099511627776, but there are only 3 images."


def test_pools_are_checked_as_they_are():
    pool = Pool(torch.zeros(0, 1, 2, 2, dtype=torch.uint8), torch.zeros(0, dtype=torch.int64))
    from attnas.evaluator.data.pool import check

    with pytest.raises(InputError) as caught:
        check(Pools(pool, classes=("a", "b")))
    assert str(caught.value) == "data: there is no train image."


def test_a_name_is_registered_once():
    def digits() -> Pools:
        raise AssertionError("never called")

    place = r"attnas\.evaluator\.data\.digits\.digits"
    with pytest.raises(ValueError, match=rf"^data source 'digits' is {place} already; register "):
        register_source("digits")(digits)
