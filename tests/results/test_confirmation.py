import json
from dataclasses import replace

import numpy as np
import pytest

from attnas.results import (
    Confirmation,
    Confirmed,
    ConfirmedScore,
    read_confirmation,
    write_confirmation,
)
from attnas.search_space import AttnasError, InputError

IMAGES = 1000
PLAIN = {"layer1": "none", "layer2": "none"}
CHOICES = {"layer1": "none", "layer2": "se:r8@residual"}


def score(seed: int, right: int) -> ConfirmedScore:
    """The first `right` images are right."""
    bits = np.arange(IMAGES) < right
    return ConfirmedScore(seed, right / IMAGES, np.packbits(bits).tobytes())


def confirmed(trial, choices, *right: int) -> Confirmed:
    return Confirmed(trial, choices, tuple(score(seed, n) for seed, n in enumerate(right, 1)))


def confirmation(*right: int, plain=(700, 710), winner: int | None = 12, more=()) -> Confirmation:
    return Confirmation(
        plain=confirmed(0, PLAIN, *plain),
        front=(confirmed(12, CHOICES, *right), *more),
        winner=winner,
        epochs=18,
        images=IMAGES,
    )


def test_a_gain_above_the_interval_is_real():
    found = confirmation(780, 790)
    # The seeds agree on 0.08, so only the images count: 70 gained with both seeds and 10 with
    # each alone. Variance of the images' means (70 + 20 / 4 - 80^2 / 1000) / 999, less half
    # the interaction's 10 / 999: 0.08 +- 1.96 sqrt(0.0637 / 1000).
    assert found.verdict() == (
        "Trial 12 (layer1=none layer2=se:r8@residual) beats the plain backbone by 8.00 points "
        "(95 % interval 6.44 to 9.56, 2 seeds, 1,000 test images): the gain is real."
    )
    assert found.gain_is_real


def test_a_gain_within_the_interval_is_noise_and_says_how_many_seeds_would_tell():
    # 0.016 and -0.006: half-width 12.706 sqrt(0.000242 / 2) now, 2.023 sqrt(0.000242 / 40) then
    found = confirmation(716, 704)
    assert found.verdict() == (
        "Trial 12 (layer1=none layer2=se:r8@residual) is 0.50 points above the plain backbone "
        "(95 % interval -13.48 to 14.48, 2 seeds, 1,000 test images): within noise; "
        "about 40 seeds would be needed to tell."
    )
    assert not found.gain_is_real


def test_a_loss_below_the_interval_means_that_no_attention_is_best():
    assert confirmation(600, 610).verdict() == (
        "Trial 12 (layer1=none layer2=se:r8@residual) is 10.00 points below the plain backbone "
        "(95 % interval -11.75 to -8.25, 2 seeds, 1,000 test images): no attention is best."
    )


def test_another_of_the_front_that_came_out_above_is_named_but_does_not_win():
    other = confirmed(7, {"layer1": "eca@post", "layer2": "none"}, 800, 810)
    ending = "; trial 7 of the front came out above it here, which other seeds have to confirm."
    assert (
        confirmation(600, 610, more=(other,)).verdict().endswith(f": this choice was luck{ending}")
    )
    assert confirmation(600, 610, more=(other,), winner=None).verdict() == (
        f"No attention is best: the search itself recommends the plain backbone{ending}"
    )


def test_a_search_that_recommends_the_plain_backbone_has_its_verdict():
    found = Confirmation(confirmed(0, PLAIN, 700, 710), (), None, 18, IMAGES)
    assert found.verdict() == (
        "No attention is best: the search itself recommends the plain backbone."
    )
    assert not found.gain_is_real


def test_equal_trainings_leave_nothing_to_tell():
    assert (
        confirmation(700, 710)
        .verdict()
        .endswith(
            "is level with the plain backbone (95 % interval 0.00 to 0.00, 2 seeds, 1,000 test "
            "images): within noise; there is no difference to tell."
        )
    )


def test_the_summary_has_the_figures_of_the_verdict_in_plain_types():
    found = confirmation(780, 790).summary()
    assert json.loads(json.dumps(found)) == found
    assert found["verdict"] == confirmation(780, 790).verdict()
    assert found["seeds"] == [1, 2]
    assert found["plain_accuracy"] == pytest.approx(0.705)
    [entry] = found["front"]
    assert entry["trial"] == found["winner"] == 12
    assert entry["choices"] == CHOICES
    assert entry["accuracies"] == [0.78, 0.79]
    assert entry["accuracy"] == pytest.approx(0.785)
    assert entry["difference"] == pytest.approx(0.08)
    assert entry["difference_low"] < 0.08 < entry["difference_high"]
    assert entry["within_noise"] is False


def test_a_confirmation_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "confirm.json"
    write_confirmation(confirmation(780, 790), path)
    assert read_confirmation(path) == confirmation(780, 790)
    assert read_confirmation(tmp_path / "absent.json") is None


def test_another_version_or_content_is_refused_with_the_file(tmp_path):
    path = tmp_path / "confirm.json"
    content = confirmation(780, 790).to_dict()
    path.write_text(json.dumps(content | {"version": 9}))
    with pytest.raises(InputError) as refused:
        read_confirmation(path)
    assert str(refused.value) == (
        f"{path}: version: the confirmation has version 9, this attnas reads version 1. "
        "Run `attnas confirm` again."
    )
    content["front"] = [{"trial": 12}]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError) as refused:
        read_confirmation(path)
    assert str(refused.value) == (
        f"{path}: is not a confirmation (KeyError: 'choices'). Run `attnas confirm` again."
    )
    path.write_text("{")
    with pytest.raises(AttnasError, match="the file is damaged"):
        read_confirmation(path)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"winner": 3}, "the winner, trial 3, is not among the confirmed"),
        (
            {"plain": confirmed(0, PLAIN, 700)},
            r"a confirmation needs at least two different seeds, not \[1\]",
        ),
        (
            {"front": (confirmed(12, CHOICES, 780, 790, 800),)},
            r"trial 12 was not trained with the seeds \[1, 2\]",
        ),
        (
            {"front": (confirmed(12, PLAIN, 780, 790),)},
            "the plain backbone is to be given as `plain`, and only there",
        ),
        (
            {"plain": confirmed(0, CHOICES, 700, 710)},
            "the plain backbone is to be given as `plain`, and only there",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, problem):
    with pytest.raises(ValueError, match=f"^{problem}$"):
        replace(confirmation(780, 790), **changes)


def test_an_accuracy_that_its_bits_deny_is_refused():
    wrong = Confirmed(12, CHOICES, (replace(score(1, 780), accuracy=0.9), score(2, 790)))
    with pytest.raises(ValueError, match=r"^trial 12, seed 1: accuracy 0.9 does not fit its bits"):
        replace(confirmation(780, 790), front=(wrong,))
