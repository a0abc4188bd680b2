import json
from dataclasses import replace

import numpy as np
import pytest

from attnas.core import AttnasError, InputError, ItemScores
from attnas.results import (
    Confirmation,
    Confirmed,
    ConfirmedScore,
    read_confirmation,
    write_confirmation,
)

ITEMS = 1000
PLAIN = {"layer1": "none", "layer2": "none"}
OPTIONS = {"layer1": "none", "layer2": "se:r8@residual"}


def score(seed: int, right: int) -> ConfirmedScore:
    """The first `right` items are right."""
    return ConfirmedScore(seed, ItemScores.of("accuracy", np.arange(ITEMS) < right))


def confirmed(trial, options, *right: int) -> Confirmed:
    return Confirmed(trial, options, tuple(score(seed, n) for seed, n in enumerate(right, 1)))


def confirmation(*right: int, plain=(700, 710), winner: int | None = 12, more=()) -> Confirmation:
    return Confirmation(
        plain=confirmed(0, PLAIN, *plain),
        front=(confirmed(12, OPTIONS, *right), *more),
        winner=winner,
        epochs=18,
    )


def test_a_gain_above_the_interval_is_real():
    found = confirmation(780, 790)
    # The seeds agree on 0.08, so only the items count: 70 gained with both seeds and 10 with
    # each alone. Variance of the items' means (70 + 20 / 4 - 80^2 / 1000) / 999, less half
    # the interaction's 10 / 999: 0.08 +- 2.17 sqrt(0.0637 / 1000), 97 % at the first look.
    assert found.verdict() == (
        "Trial 12 (layer1=none layer2=se:r8@residual) beats the plain backbone by 8.00 points "
        "(95 % interval 6.27 to 9.73, 2 seeds, 1,000 test items): the gain is real."
    )
    assert found.gain_is_real


def test_a_gain_within_the_interval_is_noise_and_says_how_many_seeds_would_tell():
    # 0.016 and -0.006: half-width 21.205 sqrt(0.000242 / 2) now, 2.586 sqrt(0.000242 / 65) then
    found = confirmation(716, 704)
    assert found.verdict() == (
        "Trial 12 (layer1=none layer2=se:r8@residual) is 0.50 points above the plain backbone "
        "(95 % interval -22.83 to 23.83, 2 seeds, 1,000 test items): within noise; "
        "about 65 seeds would be needed to tell."
    )
    assert not found.gain_is_real


def test_a_loss_below_the_interval_means_that_the_plain_backbone_is_best():
    assert confirmation(600, 610).verdict() == (
        "Trial 12 (layer1=none layer2=se:r8@residual) is 10.00 points below the plain backbone "
        "(95 % interval -11.94 to -8.06, 2 seeds, 1,000 test items): the plain backbone is best."
    )


def test_another_of_the_front_that_came_out_above_is_named_but_does_not_win():
    other = confirmed(7, {"layer1": "eca@post", "layer2": "none"}, 800, 810)
    ending = "; trial 7 of the front came out above it here, which other seeds have to confirm."
    assert (
        confirmation(600, 610, more=(other,))
        .verdict()
        .endswith(f": this architecture was luck{ending}")
    )
    assert confirmation(600, 610, more=(other,), winner=None).verdict() == (
        f"The plain backbone is best: the search itself recommends it{ending}"
    )


def test_a_search_that_recommends_the_plain_backbone_has_its_verdict():
    found = Confirmation(confirmed(0, PLAIN, 700, 710), (), None, 18)
    assert found.verdict() == ("The plain backbone is best: the search itself recommends it.")
    assert not found.gain_is_real


def test_equal_trainings_leave_nothing_to_tell():
    assert (
        confirmation(700, 710)
        .verdict()
        .endswith(
            "is level with the plain backbone (95 % interval 0.00 to 0.00, 2 seeds, 1,000 test "
            "items): within noise; there is no difference to tell."
        )
    )


SE = confirmed(3, {"layer1": "se:r16@residual", "layer2": "se:r16@residual"}, 730, 740)


@pytest.mark.parametrize(
    ("right", "said"),
    [
        ((780, 790), "It beats every baseline: +5.00 (+3.67 to +6.33) against se:r16@residual."),
        (
            (735, 738),
            "It is not shown to beat every baseline: +0.15 (-7.27 to +7.57) against "
            "se:r16@residual.",
        ),
    ],
)
def test_the_verdict_answers_whether_the_winner_beats_the_baselines(right, said):
    found = replace(confirmation(*right, more=(SE,)), baselines={"se:r16@residual": 3})
    assert found.verdict().endswith(f". {said}")
    [entry] = found.summary()["baselines"]
    assert entry["baseline"] == "se:r16@residual"
    assert entry["within_noise"] is not found.is_better(found.against_baselines["se:r16@residual"])
    assert [e["baseline"] for e in found.summary()["front"]] == [None, "se:r16@residual"]


def test_a_winner_that_is_a_baseline_is_called_one():
    found = replace(confirmation(780, 790), baselines={"mine": 12})
    assert found.verdict().endswith("the gain is real. It is the baseline mine.")
    assert found.summary()["baselines"] == []


def test_each_further_look_has_less_to_err_by():
    first = confirmation(780, 790)
    levels = [
        first.level,
        replace(first, looks=(2, 3)).level,
        replace(first, looks=(2, 3, 9)).level,
    ]
    assert levels == pytest.approx([0.03, 0.012, 0.0048])
    assert sum(0.03 * 0.4**n for n in range(1000)) == pytest.approx(0.05)
    assert "2 seeds, 2 looks, 1,000 test items" in replace(first, looks=(2, 3)).verdict()


def test_who_adds_seeds_until_they_please_finds_a_gain_as_seldom_as_said():
    """Ten looks, after 2, 4, ... 20 seeds, at two networks that are equal."""
    rng = np.random.default_rng(4)
    real = 0
    for _ in range(200):
        errors = rng.normal(0, 1, (2, 20, 2)).astype("float32")
        for look in range(2, 21, 2):
            plain, other = (
                tuple(
                    ConfirmedScore(s, ItemScores.of("mean_absolute_error", errors[i, s]))
                    for s in range(look)
                )
                for i in (0, 1)
            )
            found = Confirmation(
                Confirmed(0, PLAIN, plain),
                (Confirmed(12, OPTIONS, other),),
                12,
                18,
                looks=tuple(range(2, look + 1, 2)),
            )
            if found.gain_is_real:
                real += 1
                break
    assert real / 200 <= 0.05


def test_the_intervals_of_the_others_hold_together():
    others = tuple(confirmed(n, {"layer1": f"eca@{n}"}, 716, 704) for n in range(20, 24))
    found = confirmation(716, 704, more=others)
    winner, *rest = (np.ptp(d.interval) for d in found.differences)
    assert all(width > winner for width in rest)
    assert {d.level for d in found.differences} == {0.03, 0.03 / 4}


def test_a_confirmation_from_trained_weights_says_so():
    found = replace(confirmation(780, 790), start="trained.pt (3fa2)")
    assert "2 seeds, all from the weights of trained.pt (3fa2), 1,000 test items" in found.verdict()


def test_looks_and_baselines_must_fit_what_is_confirmed():
    with pytest.raises(ValueError, match="a look at 2 seeds is not among those at"):
        replace(confirmation(780, 790), looks=(3,))
    with pytest.raises(ValueError, match=r"the baselines \[5\] are not among the confirmed"):
        replace(confirmation(780, 790), baselines={"mine": 5})


def test_the_summary_has_the_figures_of_the_verdict_in_plain_types():
    found = confirmation(780, 790).summary()
    assert json.loads(json.dumps(found)) == found
    assert found["verdict"] == confirmation(780, 790).verdict()
    assert found["seeds"] == [1, 2]
    assert (found["metric"], found["test_items"]) == ("accuracy", ITEMS)
    assert found["plain"] == pytest.approx(0.705)
    [entry] = found["front"]
    assert entry["trial"] == found["winner"] == 12
    assert entry["architecture"] == OPTIONS
    assert entry["values"] == [0.78, 0.79]
    assert entry["value"] == pytest.approx(0.785)
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
        f"{path}: version: the confirmation has version 9, this attnas reads versions up "
        "to 2. Run `attnas confirm` again."
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


def errors(metric: str, *by_seed: float) -> tuple[ConfirmedScore, ...]:
    """Scores of a metric of which less is better, at about these means."""
    spread = np.linspace(-0.5, 0.5, 400)
    return tuple(
        ConfirmedScore(seed, ItemScores.of(metric, value + spread))
        for seed, value in enumerate(by_seed, 1)
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            (1.5, 1.52),
            "beats the plain backbone by 0.5000 in mean absolute error (95 % interval -0.5000 to "
            "-0.5000, 2 seeds, 400 test items): the gain is real.",
        ),
        (
            (2.5, 2.52),
            "is 0.5000 in mean absolute error above the plain backbone (95 % interval 0.5000 to "
            "0.5000, 2 seeds, 400 test items): the plain backbone is best.",
        ),
        (
            (1.9, 2.1),
            "is 0.01000 in mean absolute error below the plain backbone (95 % interval -1.918 to "
            "1.898, 2 seeds, 400 test items): within noise; more seeds would not tell, more test "
            "items might.",
        ),
    ],
)
def test_of_an_error_less_is_better(values, said):
    found = Confirmation(
        plain=Confirmed(0, PLAIN, errors("mean_absolute_error", 2.0, 2.02)),
        front=(Confirmed(12, OPTIONS, errors("mean_absolute_error", *values)),),
        winner=12,
        epochs=18,
    )
    verdict = found.verdict()
    assert verdict.removeprefix("Trial 12 (layer1=none layer2=se:r8@residual) ") == said
    assert found.gain_is_real == verdict.endswith("the gain is real.")
    assert Confirmation.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert found.summary()["metric"] == "mean_absolute_error"


def test_trainings_that_are_scored_by_other_metrics_are_refused():
    with pytest.raises(ValueError, match=r"^the trainings were scored by other metrics, or on o"):
        Confirmation(
            plain=Confirmed(0, PLAIN, errors("mean_absolute_error", 2.0, 2.0)),
            front=(Confirmed(12, OPTIONS, errors("validation_loss", 2.0, 2.0)),),
            winner=12,
            epochs=18,
        )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"winner": 3}, "the winner, trial 3, is not among the confirmed"),
        (
            {"plain": confirmed(0, PLAIN, 700)},
            r"a confirmation needs at least two different seeds, not \[1\]",
        ),
        (
            {"front": (confirmed(12, OPTIONS, 780, 790, 800),)},
            r"trial 12 was not trained with the seeds \[1, 2\]",
        ),
        (
            {"front": (confirmed(12, PLAIN, 780, 790),)},
            "the plain backbone is to be given as `plain`, and only there",
        ),
        (
            {"plain": confirmed(0, OPTIONS, 700, 710)},
            "the plain backbone is to be given as `plain`, and only there",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, problem):
    with pytest.raises(ValueError, match=f"^{problem}$"):
        replace(confirmation(780, 790), **changes)


def of_version_1(found: Confirmation) -> dict:
    """The content as version 1 wrote it, which knew accuracies alone."""

    def entry(confirmed: Confirmed) -> dict:
        scores = [
            {
                "seed": score.seed,
                "accuracy": score.value,
                "correct": score.scores.to_dict()["content"],
            }
            for score in confirmed.scores
        ]
        return {"trial": confirmed.trial, "choices": confirmed.options, "scores": scores}

    return {
        "version": 1,
        "winner": found.winner,
        "epochs": found.epochs,
        "test_images": found.items,
        "plain": entry(found.plain),
        "front": [entry(confirmed) for confirmed in found.front],
    }


def test_what_version_1_wrote_is_read_as_an_equal_confirmation():
    found = confirmation(780, 790)
    assert Confirmation.from_dict(of_version_1(found)) == found


def test_an_accuracy_of_version_1_that_its_bits_deny_is_refused():
    content = of_version_1(confirmation(780, 790))
    content["front"][0]["scores"][0]["accuracy"] = 0.9
    with pytest.raises(InputError) as refused:
        Confirmation.from_dict(content)
    assert str(refused.value) == (
        "is not a confirmation (ValueError: accuracy 0.9 does not fit its bits (0.78)). "
        "Run `attnas confirm` again."
    )
