import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attnas.evaluator import Batches, Data, Pool, Recipe, safe_layout
from attnas.evaluator.data.statistics import channel_statistics

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
    part = Pool(data.train.inputs[:16], data.train.targets[:16])
    seen = torch.cat([x for x, _ in unaugmented(data, pool=part).epoch(0, 0)])
    whole = data.train.inputs.double()
    mean, deviation = whole.mean((0, 2, 3)), whole.std((0, 2, 3), correction=0)
    expected = (part.inputs.double() - mean[:, None, None]) / deviation[:, None, None]
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
    assert (labels == data.validation.targets).all()
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    bright = data.validation.inputs.double().mean((1, 2, 3)).numpy()
    assert np.corrcoef(bright, inputs.mean((1, 2, 3)).numpy())[0, 1] > 0.99


def test_the_layout_is_channels_last_unless_torch_could_end_the_process():
    narrow = nn.Sequential(nn.Conv2d(15, 8, 1, stride=2))
    wide = nn.Sequential(nn.Conv2d(16, 8, 1, stride=2), nn.Conv2d(4, 8, 3, stride=2))
    assert safe_layout(narrow) == torch.contiguous_format
    assert safe_layout(wide) == torch.channels_last


def floats(*shape, seed=0) -> Data:
    """Inputs of 37 items whose channels differ in mean and deviation."""
    draw = torch.Generator().manual_seed(seed)
    channels = (-1, *(1 for _ in shape[1:]))
    scale = torch.arange(1.0, shape[0] + 1).reshape(channels)
    inputs = torch.randn(37, *shape, generator=draw) * scale + 10 * scale
    pool = Pool(inputs, torch.arange(37) % 2)
    return Data(pool, pool, pool, ("a", "b"), {})


@pytest.mark.parametrize(
    "shape",
    [(6,), (3, 50), (2, 8, 8), (2, 4, 4, 4)],
    ids=["features", "signals", "maps", "volumes"],
)
def test_float_inputs_are_normalised_by_channel_and_not_augmented(shape):
    data = floats(*shape)
    before = data.train.inputs.clone()
    recipe = Recipe(batch_size=10, augment="flip_crop")
    batches = Batches(data, recipe)
    drawn = list(batches.epoch(3, 1))
    assert [len(x) for x, _ in drawn] == [10, 10, 10, 7]
    seen = torch.cat([x for x, _ in drawn])
    axes = (0, *range(2, seen.ndim))
    torch.testing.assert_close(seen.mean(axes), torch.zeros(shape[0]), rtol=0, atol=1e-5)
    torch.testing.assert_close(
        seen.std(axes, correction=0), torch.ones(shape[0]), rtol=1e-4, atol=0
    )
    assert seen.dtype == torch.float32
    [(scored, targets)] = batches.scoring(data.validation)
    assert sorted(map(bytes, seen.numpy())) == sorted(map(bytes, scored.numpy()))
    assert torch.equal(targets, data.validation.targets)
    assert torch.equal(data.train.inputs, before)  # also where no copy to the device is needed
    assert torch.equal(torch.cat([x for x, _ in batches.epoch(3, 1)]), seen)


def test_channel_statistics_of_floats_are_those_of_all_their_values():
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(9000, 3, 5, generator=draw) * torch.tensor([1e-3, 1, 1e3])[:, None] + 7
    inputs[:, 1] = 7
    mean, deviation = channel_statistics(inputs)
    flat = inputs.double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(mean.double(), flat.mean(1), rtol=1e-6, atol=0)
    expected = flat.std(1, correction=0)
    expected[1] = 1  # a constant channel is not divided by zero
    torch.testing.assert_close(deviation.double(), expected, rtol=1e-6, atol=0)


def test_levels_and_the_same_values_as_floats_have_the_same_statistics(data):
    levels = channel_statistics(data.train.inputs)
    torch.testing.assert_close(channel_statistics(data.train.inputs.float()), levels)


@pytest.mark.parametrize("small", [False, True])
def test_maps_move_with_their_images(small):
    """Each pixel's class is its grey level: also after crops and flips."""
    blocks = torch.randint(2, (23, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    images = 255 * blocks.to(torch.uint8).repeat_interleave(2, 2).repeat_interleave(2, 3)
    pool = Pool(images, (images[:, 0] > 0).to(torch.uint8))
    data = Data(pool, pool, pool, ("dark", "bright"), {})
    recipe = Recipe(batch_size=8, augment="none" if small else "flip_crop")
    batches = Batches(data, recipe, spatial=True)
    step = 2 if small else 1
    still, moved = pool.targets[:, ::step, ::step], 0
    for inputs, maps in batches.epoch(0, 0, small=small):
        assert inputs.shape[2:] == maps.shape[1:] == ((16, 16) if small else (32, 32))
        assert torch.equal(inputs[:, 0] > 0, maps > 0)
        moved += sum(not (maps[i] == still).all((1, 2)).any() for i in range(len(maps)))
    assert (moved == 0) == small or moved > 15
    [(inputs, maps)] = batches.scoring(pool, small=small)
    assert torch.equal(inputs[:, 0] > 0, maps > 0)
    assert torch.equal(maps, still)


class OnDisk:
    """Inputs that are read when they are indexed; notes how many at a time."""

    def __init__(self, tensor):
        self.tensor, self.read = tensor, []

    shape = property(lambda self: self.tensor.shape)
    dtype = property(lambda self: self.tensor.dtype)

    def __len__(self):
        return len(self.tensor)

    def __getitem__(self, indices):
        found = self.tensor[indices]
        self.read.append(len(found))
        return found

    def take_items(self, indices):
        return OnDisk(self.tensor[indices])


def test_inputs_larger_than_memory_are_read_batch_by_batch(data):
    lazy = OnDisk(data.train.inputs)
    pool = Pool(lazy, data.train.targets)
    kept = Data(pool, pool, pool, data.classes, {})
    batches = Batches(kept, RECIPE)
    lazy.read.clear()
    there = list(batches.epoch(3, 1))
    assert lazy.read == [8] * 5
    for (x, y), (inputs, targets) in zip(there, Batches(data, RECIPE).epoch(3, 1), strict=True):
        assert torch.equal(x, inputs)
        assert torch.equal(y, targets)
    first = pool.first(3)
    assert torch.equal(first.inputs[:], data.train.inputs[:3])
