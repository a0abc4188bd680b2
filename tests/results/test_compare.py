import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnas.core import InputError
from attnas.results import Run, compare, compare_rows, compare_table
from attnas.results.compare import coverage
from attnas.results.display import as_text
from attnas.search_space import Architecture


def measured(accuracy: float, latency_ms: float) -> dict:
    return {"metrics": {"accuracy": accuracy, "latency_ms": latency_ms, "params": 1}}


def test_fronts_are_scaled_together_and_measured_against_one_reference(run, other_run, trial):
    run.append(trial(0, **measured(0.8, 3.0)))
    run.append(trial(1, **measured(0.6, 1.0)))
    other_run.append(trial(0, **measured(0.7, 2.0)))
    mine, other = compare([run, other_run]).sides
    # losses scaled: mine (0, 1) and (1, 0), other (0.5, 0.5); the reference is (1.1, 1.1)
    assert mine.hypervolume == pytest.approx((1.1 * 0.1 + 0.1 * 1.0) / 1.21)
    assert other.hypervolume == pytest.approx(0.6 * 0.6 / 1.21)
    assert mine.covers == (1.0, 0.0)
    assert other.covers == (0.0, 1.0)
    assert mine.best is not None
    assert mine.best.number == 0


def test_a_dominated_front_is_covered(run, other_run, trial):
    run.append(trial(0, **measured(0.8, 1.0)))
    for number, accuracy in enumerate((0.7, 0.6)):
        other_run.append(trial(number, **measured(accuracy, 2.0 - number)))
    mine, other = compare([run, other_run]).sides
    assert mine.covers == (1.0, 1.0)
    assert other.covers == (0.0, 1.0)
    assert mine.hypervolume == pytest.approx(1.0)


def test_an_empty_run_covers_nothing_and_cannot_be_covered(run, other_run, trial):
    run.append(trial(0, **measured(0.8, 1.0)))
    found = compare([run, other_run])
    assert [side.covers for side in found.sides] == [(1.0, None), (0.0, None)]
    assert found.sides[1].hypervolume == 0
    assert compare_rows(found)[1] == {
        "run": "other",
        "trials": 0,
        "front": 0,
        "hypervolume": 0.0,
        "covers": {"small": 0.0},
        "best": None,
        "best_metrics": {},
        "plain_latency_ms": 2.0,
    }
    rows = compare_rows(found)
    assert json.loads(json.dumps(rows)) == rows
    assert rows[0]["best_metrics"] == {"accuracy": 0.8, "latency_ms": 1.0}
    assert compare([other_run, run]).sides[0].hypervolume == 0


point_sets = st.lists(st.tuples(*[st.integers(0, 4)] * 2), min_size=1, max_size=6)


@given(point_sets, point_sets)
def test_coverage_counts_the_points_that_another_is_nowhere_worse_than(a, b):
    slow = [any(all(p <= q for p, q in zip(x, y, strict=True)) for x in a) for y in b]
    assert coverage(np.array(a, float), np.array(b, float)) == pytest.approx(sum(slow) / len(b))
    assert coverage(np.array(a, float), np.array(a, float)) == 1


def test_other_objectives_are_refused(run, tmp_path, values):
    facts = values["facts"] | {"objectives": {"accuracy": "max", "params": "min"}}
    with (
        Run.create(
            tmp_path / "cheap", config=values["config"], facts=facts, environment={}
        ) as cheap,
        pytest.raises(InputError) as refused,
    ):
        compare([run, cheap])
    assert str(refused.value) == (
        "the runs have other objectives and cannot be compared: small accuracy max, latency_ms "
        "min; cheap accuracy max, params min."
    )


def test_a_single_run_and_the_same_run_twice_are_refused(run):
    with pytest.raises(InputError, match=r"^give two runs or more to compare\.$"):
        compare([run])
    with pytest.raises(InputError, match=r"^a run is given twice; give different runs"):
        compare([run, run])


def test_what_differs_between_the_runs_is_named(run, tmp_path, values):
    facts = values["facts"] | {
        "device": {"name": "torch-cpu", "threads": 2},
        "data": values["facts"]["data"] | {"path": "elsewhere"},
        "recipe": {"epochs": 18},
    }
    environment = {"device": {"cpu": "another"}}
    with Run.create(
        tmp_path / "slow", config=values["config"], facts=facts, environment=environment
    ) as slow:
        assert compare([run, slow]).warnings == (
            "device.threads differs: 1 in small, 2 in slow.",
            "measured_on.cpu differs: not given in small, another in slow.",
            "recipe.epochs differs: 6 in small, 18 in slow.",
        )


def test_runs_of_one_kind_need_no_warning(run, other_run):
    assert compare([run, other_run]).warnings == ()


def test_runs_of_one_name_are_told_apart_by_their_folders(run, template):
    with Run.open(template) as twin:
        assert [side.name for side in compare([run, twin]).sides] == [
            str(run.folder),
            str(template),
        ]


def test_latencies_are_compared_as_multiples_of_each_runs_plain_backbone(
    run, other_run, trial, values
):
    """What took 10 % longer on another day is neither better nor worse."""
    plain = Architecture.plain(values["backbone"], values["decisions"])
    for made, slower in ((run, 1.0), (other_run, 1.1)):
        made.append(trial(0, architecture=plain, **measured(0.7, 2.0 * slower)))
        made.append(trial(1, **measured(0.8, 3.0 * slower)))
    found = compare([run, other_run])
    assert [side.plain_latency for side in found.sides] == [2.0, 2.2]
    assert [side.covers for side in found.sides] == [(1.0, 1.0), (1.0, 1.0)]
    assert found.sides[0].hypervolume == found.sides[1].hypervolume
    text = as_text(compare_table(found))
    assert text.count("(1.50x)") == 2
