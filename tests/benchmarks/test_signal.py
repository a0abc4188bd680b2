import json

import numpy as np
import pytest

from attnas.core import InputError
from benchmarks import signal


def test_reliability_is_that_of_the_written_definitions():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=12)
    values = truth + 0.3 * rng.normal(size=(2, 12)) + np.array([[0.0], [5.0]])
    found = signal.reliability(values)
    a, b = values
    covariance = ((a - a.mean()) * (b - b.mean())).mean()
    assert found["r"] == pytest.approx(covariance / a.std() / b.std(), abs=1e-3)
    pairs = [(i, j) for i in range(12) for j in range(i)]
    signs = [np.sign((a[i] - a[j]) * (b[i] - b[j])) for i, j in pairs]
    assert found["tau"] == pytest.approx(np.mean(signs), abs=1e-3)
    between_seeds = [np.std([a[i] - a[0], b[i] - b[0]], ddof=1) for i in range(1, 12)]
    assert found["noise"] == pytest.approx(np.sqrt(np.mean(np.square(between_seeds))), abs=1e-5)


def test_spread_and_noise_find_what_was_put_in():
    rng = np.random.default_rng(0)
    truth = rng.normal(scale=2, size=4000)
    truth[0] = 0
    values = truth + rng.normal(scale=0.5, size=(2, 4000))
    values[:, 0] = 0  # `none` without noise, so that the differences have that of one training
    found = signal.reliability(values)
    assert found["noise"] == pytest.approx(0.5, rel=0.05)
    assert found["spread"] == pytest.approx(2, rel=0.05)


def test_the_mean_of_two_trainings_is_compared_over_all_splits_of_four():
    values = np.random.default_rng(1).normal(size=(4, 9)) + np.arange(9)
    found = signal.reliability(values, 2)
    splits = [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))]
    means = [[values[list(half)].mean(0) for half in split] for split in splits]
    expected = np.mean([np.corrcoef(a, b)[0, 1] for a, b in means])
    assert found["r"] == pytest.approx(expected, abs=1e-3)


def test_a_constant_score_has_no_correlation():
    values = np.array([[0.5, 0.5, 0.5], [0.1, 0.2, 0.3]])
    assert signal.reliability(values)["r"] is None


def test_the_quick_run_writes_its_table_and_goes_on_where_it_stopped(tmp_path, capsys):
    out = tmp_path / "signal.json"
    signal.main(["--quick", "--out", str(out)])
    first = json.loads(out.read_text())
    assert len(first["trainings"]) == 2 * 2 * 3
    assert [(row["arm"], row["score"], row["images"]) for row in first["table"]] == [
        (arm, score, images)
        for arm in ("common", "independent")
        for score in ("accuracy", "loss")
        for images in (100, 200)
    ]
    printed = capsys.readouterr().out
    assert "independent  1          loss      200" in printed

    kept = first["trainings"][:-1]
    out.write_text(json.dumps({**first, "trainings": kept}))
    signal.main(["--quick", "--out", str(out)])
    again = json.loads(out.read_text())
    assert again["trainings"][:-1] == kept
    timeless = [
        {k: v for k, v in t.items() if "seconds" not in k}
        for t in (first["trainings"][-1], again["trainings"][-1])
    ]
    assert timeless[0] == timeless[1]
    assert again["table"] == first["table"]


def test_a_file_made_with_other_settings_is_not_mixed_in(tmp_path):
    out = tmp_path / "signal.json"
    out.write_text(json.dumps({"settings": {}, "trainings": []}))
    with pytest.raises(InputError) as caught:
        signal.main(["--quick", "--out", str(out)])
    assert str(caught.value) == (
        f"{out}: was made with other recipe and data and validation and architectures. "
        "Move it away or give --out."
    )
