"""RandAugment: each operation against torchvision's, and what is drawn."""

import numpy as np
import pytest
import torch

from attnas.evaluator.randaugment import OPERATIONS, RandAugment

STRENGTH = 0.3


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """Smooth ones, dark and bright, one of a single value, one of noise."""
    rng = np.random.default_rng(0)
    slopes = np.linspace(20, 90, 24)[None, :, None] + np.linspace(0, 100, 32)[None, None, :]
    made = [slopes * scale + rng.normal(0, 6, (3, 24, 32)) for scale in (0.5, 1.0, 1.3)]
    made += [np.full((3, 24, 32), 77.0), rng.uniform(0, 255, (3, 24, 32))]
    return torch.from_numpy(np.stack(made).clip(0, 255).astype(np.uint8))


def applied(name: str, images: torch.Tensor, strength: float = STRENGTH) -> torch.Tensor:
    strengths = torch.full((len(images),), strength)
    found = OPERATIONS[name](images.float(), strengths)
    return found.round().clamp(0, 255).to(torch.uint8)


EXACT = {
    "identity": lambda f, x: x,
    "auto_contrast": lambda f, x: f.autocontrast(x),
    "equalize": lambda f, x: f.equalize(x),
    "solarize": lambda f, x: f.solarize(x, 255 * (1 - STRENGTH)),
    "posterize": lambda f, x: f.posterize(x, 8 - round(4 * STRENGTH)),
    "colour": lambda f, x: f.adjust_saturation(x, 1 + 0.9 * STRENGTH),
    "contrast": lambda f, x: f.adjust_contrast(x, 1 + 0.9 * STRENGTH),
    "brightness": lambda f, x: f.adjust_brightness(x, 1 + 0.9 * STRENGTH),
    "sharpness": lambda f, x: f.adjust_sharpness(x, 1 + 0.9 * STRENGTH),
}


@pytest.mark.parametrize("name", EXACT)
def test_colours_are_as_in_torchvision(name, images, libraries):
    """Within two grey levels: torchvision truncates where we round."""
    libraries("torchvision")
    from torchvision.transforms import functional

    expected = EXACT[name](functional, images)
    difference = (applied(name, images).int() - expected.int()).abs()
    assert difference.max() <= 2


MOVED = {
    "rotate": {"angle": 30 * STRENGTH},
    "translate_x": {"translate": [-round(0.45 * 32 * STRENGTH), 0]},
    "translate_y": {"translate": [0, -round(0.45 * 24 * STRENGTH)]},
    "shear_x": {"shear": [float(np.degrees(np.arctan(0.3 * STRENGTH))), 0.0]},
    "shear_y": {"shear": [0.0, float(np.degrees(np.arctan(0.3 * STRENGTH)))]},
}


@pytest.mark.parametrize("name", MOVED)
@pytest.mark.parametrize("direction", [1, -1])
def test_geometry_is_that_of_torchvision_but_for_rounding(name, direction, images, libraries):
    libraries("torchvision")
    from torchvision.transforms import functional

    settings = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0], **MOVED[name]}
    turned = {
        key: [direction * part for part in value] if isinstance(value, list) else direction * value
        for key, value in settings.items()
        if key != "scale"
    }
    expected = functional.affine(images, scale=1.0, fill=[128.0] * 3, **turned)
    different = (applied(name, images, direction * STRENGTH) != expected).float().mean()
    assert different < 0.04  # pixels half way between two


def test_every_operation_but_the_identity_changes_images(images):
    changed = {n for n in OPERATIONS if not torch.equal(applied(n, images), images)}
    assert changed == set(OPERATIONS) - {"identity"}
    assert len(OPERATIONS) == 14


def test_what_comes_in_from_outside_is_grey(images):
    white = torch.full_like(images, 255)
    moved = applied("translate_x", white)
    shift = round(0.45 * 32 * STRENGTH)
    assert set(moved.unique().tolist()) == {128, 255}
    assert int((moved == 128).sum()) == moved[..., :shift].numel()


def test_two_operations_an_image_all_alike_probable_in_both_directions():
    drawn = RandAugment(7000, np.random.default_rng(0))
    counts = torch.bincount(drawn.operations.flatten(), minlength=14)
    assert drawn.operations.shape == (7000, 2)
    assert counts.min() > 850
    assert counts.max() < 1150  # of 1,000, five deviations
    assert drawn.strengths.unique().tolist() == pytest.approx([-0.3, 0.3])
    assert abs(float(drawn.strengths.sign().mean())) < 0.05


def test_an_image_gets_its_own_draw_wherever_its_batch_begins(images):
    many = images.repeat(4, 1, 1, 1)
    drawn = RandAugment(20, np.random.default_rng(3))
    whole = drawn(many, 0)
    assert whole.dtype == torch.uint8
    assert torch.equal(torch.cat((drawn(many[:7], 0), drawn(many[7:], 7))), whole)
    assert torch.equal(many, images.repeat(4, 1, 1, 1))
    again = RandAugment(20, np.random.default_rng(3))(many, 0)
    other = RandAugment(20, np.random.default_rng(4))(many, 0)
    assert torch.equal(again, whole)
    assert not torch.equal(other, whole)
