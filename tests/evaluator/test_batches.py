import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attnas.evaluator import Batches, Recipe, safe_layout
from attnas.evaluator.data import Data, Pool

RECIPE = Recipe(batch_size=8, precision="float32")


@pytest.fixture(scope="module")
def data() -> Data:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (41, 3, 32, 32), dtype=torch.uint8, generator=generator)
    pool = Pool(images, torch.arange(41) % 4)
    return Data(pool, pool, pool, ("a", "b", "c", "d"), {})


def unaugmented(data, **settings) -> Batches:
    return Batches(data, Recipe(batch_size=8, augment="none", precision="float32"), **settings)


def test_an_epoch_is_drawn_from_seed_and_number_alone(data):
    first = list(Batches(data, RECIPE).epoch(3, 1))
    torch.rand(5)
    again = list(Batches(data, RECIPE).epoch(3, 1))
    assert all(
        (a == b).all() for p, q in zip(first, again, strict=True) for a, b in zip(p, q, strict=True)
    )
    for other in ((3, 2), (4, 1)):
        assert any(
            (a != b).any()
            for (_, a), (_, b) in zip(first, Batches(data, RECIPE).epoch(*other), strict=True)
        )


def test_its_length_is_the_number_of_batches_and_one_image_is_no_batch(data):
    batches = Batches(data, RECIPE)
    sizes = [len(labels) for _, labels in batches.epoch(0, 0)]
    assert sizes == [8] * 5  # the 41st image stands alone
    assert len(batches) == 5


def test_a_part_of_the_training_images_is_normalised_as_the_whole(data):
    part = Pool(data.train.images[:16], data.train.labels[:16])
    seen = torch.cat([x for x, _ in unaugmented(data, pool=part).epoch(0, 0)])
    whole = data.train.images.double()
    mean, deviation = whole.mean((0, 2, 3)), whole.std((0, 2, 3), correction=0)
    expected = (part.images.double() - mean[:, None, None]) / deviation[:, None, None]
    key = torch.arange(3 * 32 * 32).double().reshape(3, 32, 32).sin()
    given, wanted = ((x.double() * key).sum((1, 2, 3)).sort().values for x in (seen, expected))
    torch.testing.assert_close(given, wanted, rtol=1e-4, atol=1e-4)


def test_small_images_are_means_of_four_pixels_of_the_same_images(data):
    batches = unaugmented(data)
    for small, whole in (
        (batches.epoch(0, 0, small=True), batches.epoch(0, 0)),
        (batches.scoring(data.test, small=True), batches.scoring(data.test)),
    ):
        for (x, y), (full, labels) in zip(small, whole, strict=True):
            torch.testing.assert_close(x, F.interpolate(full, scale_factor=0.5, mode="area"))
            assert (y == labels).all()


def test_scoring_goes_over_a_pool_in_its_order(data):
    [(inputs, labels)] = Batches(data, RECIPE).scoring(data.validation)
    assert (labels == data.validation.labels).all()
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    bright = data.validation.images.double().mean((1, 2, 3)).numpy()
    assert np.corrcoef(bright, inputs.mean((1, 2, 3)).numpy())[0, 1] > 0.99


def test_the_layout_is_channels_last_unless_torch_could_end_the_process():
    narrow = nn.Sequential(nn.Conv2d(4, 8, 1, stride=2))
    wide = nn.Sequential(nn.Conv2d(8, 8, 1, stride=2), nn.Conv2d(4, 8, 3, stride=2))
    assert safe_layout(narrow) == torch.contiguous_format
    assert safe_layout(wide) == torch.channels_last
