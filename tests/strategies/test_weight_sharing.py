import json
from dataclasses import replace

import pytest
import torch

from attnas.evaluator import Constraint, Pool
from attnas.results import RECOMMENDATIONS_FILE, Objective
from attnas.search_space import AttnasError
from attnas.strategies.weight_sharing import prepare_recommended


@pytest.fixture
def strategy(sharing):
    return sharing.make("oneshot", check=4, targets={"latency_ms": [2.0]})


def recommending(*choices, seen=None):
    """A search that trains nothing: the given architectures for every target."""

    def search(task):
        if seen is not None:
            seen.append(task)
        net = task.supernet()
        found = [
            task.recommend(net, task.space.architecture(list(c)), target)
            for target in task.targets
            for c in choices
        ]
        return [*found, *(task.recommend(net, control) for control in task.controls)]

    return search


FAST = ("none", "eca@residual", "none")  # 1.2 ms or so
PLAIN = ("none", "none", "none")


def test_weights_selection_and_validation_are_disjoint_and_drawn_by_the_seed(
    sharing, strategy, tmp_path
):
    """Each training image is marked with its number, to be found again in its part."""
    data = sharing.digits()
    marked = data.train.images.clone()
    marked[:, 0, 0, 0] = torch.arange(len(marked), dtype=torch.uint8)
    data = replace(data, train=Pool(marked, data.train.labels))
    tasks = []
    for seed, folder in ((3, "a"), (3, "b"), (4, "c")):
        given, _ = sharing.resources(tmp_path / folder, data=data)
        chosen = sharing.make("oneshot", seed=seed, check=0)
        prepare_recommended(chosen, given, recommending(FAST, seen=tasks))
    chosen, weights = (
        [set(pool.images[:, 0, 0, 0].tolist()) for pool in pools]
        for pools in ([t.selection for t in tasks], [t.weight_batches._pool for t in tasks])
    )
    assert len(chosen[0]) == 32
    assert len(weights[0]) == 128
    for a, b in zip(chosen, weights, strict=True):
        assert a | b == set(range(160))
    assert chosen[0] == chosen[1] != chosen[2]


def test_inherited_accuracy_is_that_of_the_extracted_network(sharing, strategy, tmp_path):
    """Taken with statistics of the calibration images, as the network that stands alone has."""
    tasks = []
    given, _ = sharing.resources(tmp_path)
    prepare_recommended(strategy, given, recommending(FAST, seen=tasks))
    [task] = tasks
    net, architecture = task.supernet(), task.space.architecture(list(FAST))
    found = task.inherited(net, architecture)
    alone = net.subnet(architecture)
    alone.train()
    for module in alone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    with torch.no_grad():
        for inputs, _ in task.weight_batches.scoring(task.calibration):
            alone(inputs)
        alone.eval()
        [(inputs, labels)] = list(task.selection_batches.scoring(task.selection))
        logits = alone(inputs)
    loss = torch.nn.functional.cross_entropy(logits, labels)
    assert found["validation_loss"] == pytest.approx(float(loss), rel=1e-3)
    assert found["accuracy"] == (logits.argmax(1) == labels).sum() / len(labels)


def test_controls_are_random_distinct_and_feasible_by_prediction(sharing, tmp_path):
    bound = Constraint("latency_ms", "<=", 1.5)
    tasks = []
    given, _ = sharing.resources(tmp_path, constraints=[bound])
    chosen = sharing.make("oneshot", check=10)
    prepare_recommended(chosen, given, recommending(PLAIN, seen=tasks))
    controls = tasks[0].controls
    assert len(set(controls)) == 10
    assert all(tasks[0].costs.predict(a)["latency_ms"] <= 1.5 for a in controls)
    assert not any(a.is_plain for a in controls)


def test_a_space_with_few_feasible_ones_gives_fewer_controls(sharing, tmp_path):
    bound = Constraint("latency_ms", "<=", 1.15)  # plain, and one choice in the first stage
    tasks = []
    given, _ = sharing.resources(tmp_path, constraints=[bound])
    chosen = sharing.make("oneshot", check=10)
    prepare_recommended(chosen, given, recommending(PLAIN, seen=tasks))
    assert [tasks[0].space.index(a) for a in tasks[0].controls] == [16]


def test_the_latency_table_is_not_made_where_nobody_asks_for_latency(sharing, tmp_path):
    def unwanted():
        raise AssertionError("a minute of measuring for nothing")

    given, _ = sharing.resources(tmp_path)
    chosen = sharing.make("oneshot", objectives=(Objective("accuracy", "max"),), check=1)
    tasks = []
    search = recommending(PLAIN, seen=tasks)
    prepare_recommended(chosen, replace(given, latency_table=unwanted), search)
    assert tasks[0].targets == ({},)


def test_the_artifact_is_plain_json_and_read_instead_of_searching(sharing, strategy, tmp_path):
    first = prepare_recommended(strategy, sharing.resources(tmp_path)[0], recommending(FAST))
    content = json.loads((tmp_path / RECOMMENDATIONS_FILE).read_text())
    assert content["targets"] == [{"latency_ms": 2.0}]
    assert content["candidates"][0]["choices"] == {
        "layer1": "none",
        "layer2": "eca@residual",
        "layer3": "none",
    }

    def unwanted(task):
        raise AssertionError("it was searched before")

    assert prepare_recommended(strategy, sharing.resources(tmp_path)[0], unwanted) == first


@pytest.mark.parametrize("damage", ["{", "[]", '{"format": 1}', ""])
def test_a_damaged_artifact_is_made_again(sharing, strategy, tmp_path, damage):
    first = prepare_recommended(strategy, sharing.resources(tmp_path)[0], recommending(FAST))
    (tmp_path / RECOMMENDATIONS_FILE).write_text(damage)
    given, notes = sharing.resources(tmp_path)
    assert prepare_recommended(strategy, given, recommending(FAST)) == first
    assert len(notes) == 1
    assert "the search on the supernet is repeated." in notes[0]


def test_recommendations_are_measured_until_one_keeps_the_target(sharing, strategy, tmp_path):
    """The first is 20 % slower than predicted: the second is measured, too."""
    space = sharing.tiny_space()
    slow, fast = ("se:r4@residual", "none", "eca@residual"), PLAIN
    machine = sharing.Machine(space, off=1.5, slow=(space.architecture(list(slow)),))
    given, _ = sharing.resources(tmp_path, machine=machine)
    made = prepare_recommended(strategy, given, recommending(slow, fast))
    assert machine.screened[-2:] == [space.architecture(list(slow)), space.plain]
    assert set(made.found.measured) == {space.architecture(list(slow)), space.plain}


def test_a_search_that_forgets_the_controls_is_a_mistake(sharing, strategy, tmp_path):
    with pytest.raises(ValueError, match="4 controls have no inherited accuracy"):
        prepare_recommended(strategy, sharing.resources(tmp_path)[0], lambda task: [])


def test_a_lack_of_memory_says_what_would_help(sharing, strategy, tmp_path):
    def hungry(task):
        torch.empty(10**15)

    with pytest.raises(AttnasError, match=r"does not fit into memory .* training\.batch_size"):
        prepare_recommended(strategy, sharing.resources(tmp_path)[0], hungry)


def test_other_errors_are_not_hidden(sharing, strategy, tmp_path):
    def broken(task):
        raise RuntimeError("a block's own mistake")

    with pytest.raises(RuntimeError, match="a block's own mistake"):
        prepare_recommended(strategy, sharing.resources(tmp_path)[0], broken)


def test_weights_that_the_last_steps_spoiled_are_said_to_have_diverged(sharing, strategy, tmp_path):
    def spoiled(task):
        net = task.supernet()
        for parameter in net.parameters():
            torch.nn.init.constant_(parameter, torch.nan)
        return [task.recommend(net, task.space.plain)]

    with pytest.raises(AttnasError, match=r"the loss of layer1=none .* is not finite\. Lower"):
        prepare_recommended(strategy, sharing.resources(tmp_path)[0], spoiled)
    assert not (tmp_path / RECOMMENDATIONS_FILE).exists()


def test_an_untrusted_latency_table_is_used_with_a_warning(sharing, strategy, tmp_path):
    space = sharing.tiny_space()
    table = sharing.latency_table(space)
    poor = replace(table, error=replace(table.error, mape=0.06, margin=0.2))
    for found, heard in ((poor, 1), (table, 0)):
        given, notes = sharing.resources(tmp_path / str(heard))
        given = replace(given, latency_table=lambda found=found: found)
        prepare_recommended(strategy, given, recommending(FAST))
        assert sum("mean error is above 5%" in note for note in notes) == heard
