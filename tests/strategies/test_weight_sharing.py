import json
import math
from dataclasses import replace

import pytest
import torch

from attnas.core import RECOMMENDATIONS_FILE, AttnasError, Constraint, History, Objective
from attnas.evaluator import Pool, SharedTraining
from attnas.evaluator.data.statistics import channel_statistics
from attnas.strategies import preparing_strategies
from attnas.strategies.weight_sharing import prepare_recommended


@pytest.fixture
def strategy(sharing):
    return sharing.make("oneshot", check=4, targets={"latency_ms": [2.0]})


def recommending(*options, seen=None):
    """A search that trains nothing: the given architectures for every target."""

    def find(search):
        if seen is not None:
            seen.append(search)
        net = search.supernet()
        found = [
            search.recommend(net, search.space.architecture(each), target)
            for target in search.targets
            for each in options
        ]
        return [*found, *(search.recommend(net, control) for control in search.controls)]

    return find


FAST = ("none", "eca@residual", "none")  # 1.2 ms or so
PLAIN = ("none", "none", "none")


def test_weights_selection_and_validation_are_disjoint_and_drawn_by_the_seed(
    sharing, strategy, tmp_path
):
    """Each training image is marked with its number, to be found again in its part."""
    data = sharing.digits()
    marked = data.train.inputs.clone()
    marked[:, 0, 0, 0] = torch.arange(len(marked), dtype=torch.uint8)
    data = replace(data, train=Pool(marked, data.train.targets))
    mean, deviation = channel_statistics(marked)
    recipe = sharing.RECIPE.model_copy(update={"augment": "none"})
    searches = []
    for seed, folder in ((3, "a"), (3, "b"), (4, "c")):
        given, _ = sharing.resources(tmp_path / folder, data=data, recipe=recipe)
        chosen = sharing.make("oneshot", seed=seed, check=0)
        prepare_recommended(chosen, given, recommending(FAST, seen=searches))

    def numbers(search, part):
        marks = torch.cat([inputs[:, 0, 0, 0] for inputs, _ in search.training.epoch(part, 0, 0)])
        return (marks * deviation + mean).round().int().tolist()

    assert sorted(numbers(searches[0], "selection") + numbers(searches[0], "weights")) == [
        *range(160)
    ]
    chosen, weights = (
        [set(numbers(search, part)) for search in searches] for part in ("selection", "weights")
    )
    assert len(chosen[0]) == 32
    assert len(weights[0]) == 128
    for a, b in zip(chosen, weights, strict=True):
        assert a | b == set(range(160))
    assert chosen[0] == chosen[1] != chosen[2]


def test_inherited_accuracy_is_that_of_the_extracted_network(sharing, strategy, tmp_path):
    """Taken with statistics of the weights' images, all in one batch here, as a stand-alone
    network has them."""
    searches = []
    recipe = sharing.RECIPE.model_copy(update={"augment": "none", "batch_size": 160})
    given, _ = sharing.resources(tmp_path, recipe=recipe)
    prepare_recommended(strategy, given, recommending(FAST, seen=searches))
    [search] = searches
    net, architecture = search.supernet(), search.space.architecture(FAST)
    found = search.inherited(net, architecture)
    alone = net.subnet(architecture)
    alone.train()
    for module in alone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    with torch.no_grad():
        [(inputs, _)] = search.training.epoch("weights", 0, 0)
        alone(inputs)
        alone.eval()
        [(inputs, labels)] = search.training.epoch("selection", 0, 0)
        logits = alone(inputs)
    loss = torch.nn.functional.cross_entropy(logits, labels)
    assert found["validation_loss"] == pytest.approx(float(loss), rel=1e-3)
    assert found["accuracy"] == (logits.argmax(1) == labels).sum() / len(labels)


def test_controls_are_random_distinct_and_feasible_by_prediction(sharing, tmp_path):
    bound = Constraint("latency_ms", "<=", 1.5)
    searches = []
    given, _ = sharing.resources(tmp_path, constraints=[bound])
    chosen = sharing.make("oneshot", check=10)
    prepare_recommended(chosen, given, recommending(PLAIN, seen=searches))
    controls = searches[0].controls
    assert len(set(controls)) == 10
    assert all(searches[0].costs.predict(a)["latency_ms"] <= 1.5 for a in controls)
    assert not any(a.is_plain for a in controls)


def test_a_space_with_few_feasible_ones_gives_fewer_controls(sharing, tmp_path):
    bound = Constraint("latency_ms", "<=", 1.15)  # plain, and one option in the first stage
    searches = []
    given, _ = sharing.resources(tmp_path, constraints=[bound])
    chosen = sharing.make("oneshot", check=10)
    prepare_recommended(chosen, given, recommending(PLAIN, seen=searches))
    assert [searches[0].space.index(a) for a in searches[0].controls] == [16]


def test_the_latency_table_is_not_made_where_nobody_asks_for_latency(sharing, tmp_path):
    def unwanted():
        raise AssertionError("a minute of measuring for nothing")

    given, _ = sharing.resources(tmp_path)
    chosen = sharing.make("oneshot", objectives=(Objective("accuracy", "max"),), check=1)
    searches = []
    find = recommending(PLAIN, seen=searches)
    prepare_recommended(chosen, replace(given, latency_table=unwanted), find)
    assert searches[0].targets == ({},)


def test_the_artifact_is_plain_json_and_read_instead_of_searching(sharing, strategy, tmp_path):
    first = prepare_recommended(strategy, sharing.resources(tmp_path)[0], recommending(FAST))
    content = json.loads((tmp_path / RECOMMENDATIONS_FILE).read_text())
    assert content["targets"] == [{"latency_ms": 2.0}]
    assert content["candidates"][0]["architecture"] == {
        "layer1": "none",
        "layer2": "eca@residual",
        "layer3": "none",
    }

    def unwanted(search):
        raise AssertionError("it was searched before")

    assert prepare_recommended(strategy, sharing.resources(tmp_path)[0], unwanted) == first


@pytest.mark.parametrize("damage", ["{", "[]", '{"format": 2}', ""])
def test_a_damaged_artifact_is_made_again(sharing, strategy, tmp_path, damage):
    first = prepare_recommended(strategy, sharing.resources(tmp_path)[0], recommending(FAST))
    (tmp_path / RECOMMENDATIONS_FILE).write_text(damage)
    given, notes = sharing.resources(tmp_path)
    assert prepare_recommended(strategy, given, recommending(FAST)) == first
    assert len(notes) == 1
    assert "the search on the supernet is repeated." in notes[0]


def test_an_artifact_that_cannot_be_written_is_said(sharing, strategy, tmp_path):
    (tmp_path / RECOMMENDATIONS_FILE).mkdir()
    (tmp_path / RECOMMENDATIONS_FILE / "in the way").touch()
    with pytest.raises(AttnasError, match=r"recommendations\.json: cannot be written: "):
        prepare_recommended(strategy, sharing.resources(tmp_path)[0], recommending(FAST))


def test_recommendations_are_measured_until_one_keeps_the_target(sharing, strategy, tmp_path):
    """The first is 20 % slower than predicted: the second is measured, too."""
    space = sharing.tiny_space()
    options = ("se:r4@residual", "none", "eca@residual")
    slow = space.architecture(options)
    machine = sharing.Machine(space, off=1.5, slow=(slow,))
    given, _ = sharing.resources(tmp_path, machine=machine)
    made = prepare_recommended(strategy, given, recommending(options, PLAIN))
    assert machine.screened[-2:] == [slow, space.plain]
    assert set(made.found.measured) == {slow, space.plain}


@pytest.mark.parametrize("name", preparing_strategies())
def test_every_strategy_decides_for_each_unit_where_it_is_asked_to(sharing, tmp_path, name):
    space = sharing.tiny_space(depth=14, per="unit")
    assert space.names[:3] == ("layer1.0", "layer1.1", "layer2.0")
    machine = sharing.Machine(space)
    given, _ = sharing.resources(tmp_path, machine=machine, data=sharing.digits(40))
    small = {"oneshot": {"paths": 2, "population": 2, "generations": 1}}.get(name, {})
    made = sharing.make(name, space, check=2, targets={"latency_ms": [2.0]}, **small)
    proposal = made.prepare(given).propose(History())
    assert proposal.architecture in space
    assert machine.metrics(proposal.architecture)["latency_ms"] <= 2.0


def test_a_search_that_forgets_the_controls_is_a_mistake(sharing, strategy, tmp_path):
    with pytest.raises(ValueError, match="4 controls have no inherited metrics"):
        prepare_recommended(strategy, sharing.resources(tmp_path)[0], lambda search: [])


def test_a_lack_of_memory_says_what_would_help(sharing, strategy, tmp_path):
    def hungry(search):
        torch.empty(10**15)

    with pytest.raises(AttnasError, match=r"does not fit into memory .* training\.batch_size"):
        prepare_recommended(strategy, sharing.resources(tmp_path)[0], hungry)


def test_other_errors_are_not_hidden(sharing, strategy, tmp_path):
    def broken(search):
        raise RuntimeError("a block's own mistake")

    with pytest.raises(RuntimeError, match="a block's own mistake"):
        prepare_recommended(strategy, sharing.resources(tmp_path)[0], broken)


def test_weights_that_the_last_steps_spoiled_are_said_to_have_diverged(sharing, strategy, tmp_path):
    def spoiled(search):
        net = search.supernet()
        for parameter in net.parameters():
            torch.nn.init.constant_(parameter, torch.nan)
        return [search.recommend(net, search.space.plain)]

    with pytest.raises(AttnasError, match=r"the loss of layer1=none .* is not finite\. Lower"):
        prepare_recommended(strategy, sharing.resources(tmp_path)[0], spoiled)
    assert not (tmp_path / RECOMMENDATIONS_FILE).exists()


def test_a_metric_that_cannot_be_told_is_left_out(sharing, strategy, tmp_path, monkeypatch):
    """Such as one of a class that the selection part lacks; the artifact has finite numbers."""
    figures = {"accuracy": math.nan, "validation_loss": 1.5}
    monkeypatch.setattr(SharedTraining, "score", lambda *_: figures)
    made = prepare_recommended(strategy, sharing.resources(tmp_path)[0], recommending(FAST))
    [entry] = made.found.candidates
    assert (entry.predicted["validation_loss"], "accuracy" in entry.predicted) == (1.5, False)
    assert made.propose(History()).architecture == entry.architecture
    read = prepare_recommended(strategy, sharing.resources(tmp_path)[0], None)
    assert read == made


def test_an_untrusted_latency_table_is_used_with_a_warning(sharing, strategy, tmp_path):
    space = sharing.tiny_space()
    table = sharing.latency_table(space)
    poor = replace(table, error=replace(table.error, mape=0.06, margin=0.2))
    for found, heard in ((poor, 1), (table, 0)):
        given, notes = sharing.resources(tmp_path / str(heard))
        given = replace(given, latency_table=lambda found=found: found)
        prepare_recommended(strategy, given, recommending(FAST))
        assert notes == heard * [
            "The table's mean error is too large to decide anything: its latencies guide the "
            "search on the supernet, and what that recommends is measured before it is kept."
        ]
