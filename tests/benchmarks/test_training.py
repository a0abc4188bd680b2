import json

import pytest
import torch

from attnas.evaluator import load_data
from attnas.evaluator.data.statistics import channel_statistics
from benchmarks import training


def test_the_quick_run_times_every_loop_with_every_seed(tmp_path, capsys):
    out = tmp_path / "training.json"
    training.main(["--quick", "--out", str(out)])
    written = json.loads(out.read_text())
    assert [(t["loop"], t["seed"]) for t in written["trainings"]] == [
        (loop, seed) for seed in (0, 1, 2) for loop in training.LOOPS
    ]
    assert written["table"][0]["ratio_seconds"] == 1
    assert "attnas at full resolution" in capsys.readouterr().out
    before = out.read_bytes()
    training.main(["--quick", "--out", str(out)])  # nothing is left to do
    assert out.read_bytes() == before


def test_ratios_are_medians_of_pairs():
    trainings = [
        {"loop": loop, "seed": seed, "accuracy": 0.5 + seed / 10, "seconds": s, "cpu_seconds": s}
        for seed, (slow, fast) in enumerate([(10, 5), (40, 10), (9, 3)])
        for loop, s in (("tutorial", slow), ("attnas", fast))
    ]
    slow, fast = training.table(trainings)
    assert fast["ratio_seconds"] == 3
    assert fast["seconds"] == 5
    assert slow["accuracy"] == pytest.approx(0.6)
    assert slow["sd"] == pytest.approx(0.1)


def test_the_tutorials_pictures_are_normalised_as_ours():
    data = load_data("digits", training.TASK, train=50, validation=20)
    mean, std = channel_statistics(data.train.inputs)
    pictures = training.Pictures(data.train, data, "none")
    image, label = pictures[7]
    expected = (data.train.inputs[7].float() - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(image, expected)
    assert label == data.train.targets[7]
    cropped, _ = training.Pictures(data.train, data, "crop")[7]
    assert cropped.shape == image.shape
