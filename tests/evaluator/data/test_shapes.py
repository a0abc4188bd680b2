import numpy as np
import pytest
import torch

from attnas.core import InputError
from attnas.evaluator import load_data, make_task
from attnas.evaluator.data.shapes import KINDS, shapes


def test_the_images_are_the_same_whatever_is_asked_for_and_the_targets_agree():
    masks, labels, areas = (shapes(60, 24, targets=t) for t in ("masks", "labels", "areas"))
    for pools in (labels, areas):
        assert torch.equal(pools.train.inputs, masks.train.inputs)
        assert pools.classes == KINDS
    assert masks.classes == ("background", *KINDS)
    covered = torch.stack([(masks.train.targets == k).float().mean((1, 2)) for k in (1, 2, 3)], 1)
    assert torch.equal(labels.train.targets, (covered > 0).long())
    torch.testing.assert_close(areas.train.targets, 100 * covered)
    assert (covered > 0).float().mean(0).min() > 0.2  # every kind is frequent
    assert (covered > 0).any(1).all()  # and no image is empty


def test_shapes_are_brighter_than_their_surroundings_and_noise_moves_none():
    clean, noisy = (shapes(40, 32, noise=noise).train for noise in (0.0, 0.1))
    images, masks = clean.inputs[:, 0].float(), clean.targets
    for image, mask in zip(images, masks, strict=True):
        assert image[mask > 0].mean() > image[mask == 0].mean()
    assert torch.equal(noisy.targets, masks)
    added = (noisy.inputs[:, 0].float() - images) / 255
    assert added[(images > 60) & (images < 190)].std() == pytest.approx(0.1, abs=0.01)


def test_a_square_has_a_square_for_its_mask_and_a_disc_a_disc():
    masks = shapes(200, 32, noise=0.0).train.targets.numpy()
    fills = {kind: [] for kind in KINDS}
    for mask in masks:
        if len(present := np.unique(mask[mask > 0])) != 1:
            continue
        rows, columns = np.nonzero(mask)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        if abs(height - width) <= 1 and height < 16:  # one shape, or several in one place
            fills[KINDS[present[0] - 1]].append(len(rows) / (height * width))
    assert np.median(fills["square"]) == 1
    assert np.median(fills["disc"]) == pytest.approx(np.pi / 4, abs=0.1)
    assert np.median(fills["cross"]) == pytest.approx(0.6, abs=0.15)


def test_the_seed_draws_all_of_it():
    first, again, other = (shapes(20, 16, seed=seed).train for seed in (3, 3, 4))
    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(first.targets, again.targets)
    assert not torch.equal(first.inputs, other.inputs)


@pytest.mark.parametrize(
    ("task", "targets", "output_shape"),
    [
        ("segmentation", "masks", (4, 24, 24)),
        ("multi_label", "labels", (3,)),
        ("regression", "areas", (3,)),
    ],
)
def test_they_are_what_the_task_takes(task, targets, output_shape):
    made = make_task(task, {})
    data = load_data("shapes", made, items=100, size=24, targets=targets)
    assert data.facts["sizes"] == {"train": 60, "validation": 20, "test": 20}
    assert data.input_shape == (1, 24, 24)
    assert made.output_shape(data) == output_shape


@pytest.mark.parametrize(
    ("option", "value", "needed"),
    [
        ("items", 9, "a whole number from 10 up"),
        ("items", True, "a whole number from 10 up"),
        ("size", 15, "a whole number from 16 up"),
        ("targets", "boxes", "masks, labels, areas"),
        ("noise", -0.1, "a number from 0 to 10"),
        ("noise", "loud", "a number from 0 to 10"),
    ],
)
def test_an_option_out_of_range_is_refused(option, value, needed):
    with pytest.raises(InputError) as caught:
        load_data("shapes", make_task("segmentation", {}), **{option: value})
    assert str(caught.value) == f"data.{option}: cannot be {value!r}. Write {needed}."
