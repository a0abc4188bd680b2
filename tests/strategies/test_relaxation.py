"""Supernet and logits learned together: planted optima, budgets, resumption, what is undecided."""

import math
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from attnas.core import (
    AdditiveCost,
    AttnasError,
    Constraint,
    History,
    Objective,
    Resources,
    Screening,
)
from attnas.evaluator import LatencyTable, Recipe, additive_costs, load_data, make_task
from attnas.evaluator.latency_table import TableError
from attnas.search_space import SearchSpace, make_backbone
from attnas.strategies import make_strategy
from attnas.strategies.recommendation import Recommendation
from attnas.strategies.relaxation import Step, learn, undecided
from attnas.strategies.targets import Costs

every_method = pytest.mark.parametrize("name", ["darts", "gdas", "proxyless"])
GAINS = ((0.0, 0.3, 0.9), (0.0, 0.6, -0.3), (0.6, 0.0, 0.0))
COST = AdditiveCost("latency_ms", 1.0, ((0.0, 0.1, 2.0), (0.0, 0.2, 0.1), (0.0, 0.3, 0.3)))


class Planted(nn.Module):
    """The first class's score is the mixture's sum of gains, by which an option is good."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.bias = nn.Parameter(torch.zeros(1))

    def mix(self, weights):
        self.gain = sum(
            weight * gain
            for stage, gains in zip(weights, GAINS, strict=True)
            for weight, gain in zip(stage, gains, strict=True)
        )

    def forward(self, inputs):
        score = (self.gain * self.scale + inputs).reshape(-1, 1)
        return torch.cat([score, torch.zeros_like(score)], 1)


def noisy(seed, number):
    """20 batches of 8 noisy inputs of the first class."""
    generator = torch.Generator().manual_seed(hash((seed, number)) % 2**31)
    for _ in range(20):
        yield torch.randn(8, generator=generator), torch.zeros(8, dtype=torch.int64)


def cost_of(architecture, space, cost=COST):
    return cost.at(space.positions(architecture))


@pytest.fixture(scope="session")
def planted(sharing):
    """A search whose supernet is `Planted`."""
    return partial(planted_search, sharing.Drawn(noisy, 20, Recipe(learning_rate=1e-3)))


def planted_search(training, space, targets, constraints=()):
    screen = lambda a: Screening({"latency_ms": cost_of(a, space)})  # noqa: E731
    return SimpleNamespace(
        space=space,
        seed=0,
        epochs=1,
        resources=SimpleNamespace(progress=lambda *_: None, note=lambda _: None),
        training=training,
        costs=Costs(space, {"latency_ms": COST}, constraints, {"latency_ms": 1.0}, screen),
        targets=targets,
        controls=(),
        supernet=Planted,
        checkpointed=lambda name, parts: SimpleNamespace(epochs=range),
        recommend=lambda net, architecture: Recommendation(architecture),
    )


def learned(simulation, name, search, **settings):
    """The first candidate of each target; gdas sees one path a step, and needs more of them."""
    usual = {"supernet_epochs": 6, "warmup": 0, "architecture_rate": 0.15}
    slow = {"supernet_epochs": 14, "architecture_rate": 0.03} if name == "gdas" else {}
    method = simulation.make(name, search.space, **{**usual, **slow, **settings})
    first = {}
    for entry in learn(search, method):
        first.setdefault(tuple(entry.target.items()), entry)
    return list(first.values())


@every_method
def test_the_best_options_are_found_and_the_best_within_a_budget(simulation, planted, name):
    """Option 2 of the first stage is best and too slow for the second target."""
    space = simulation.space_of(3, 3, 3)
    targets = ({"latency_ms": 9.0}, {"latency_ms": 1.35})
    free, bound = learned(simulation, name, planted(space, targets))
    assert simulation.genes(free.architecture) == [2, 1, 0]
    assert simulation.genes(bound.architecture) == [1, 1, 0]


@every_method
def test_constraints_are_kept_beside_the_target(simulation, planted, name):
    """The plain backbone takes 1 ms, so 1.15x leaves room for one cheap option."""
    space = simulation.space_of(3, 3, 3)
    limit = (Constraint("latency_ms", "<=", 1.15, relative=True),)
    search = planted(space, ({},), limit)
    for entry in learn(search, simulation.make(name, space, supernet_epochs=2)):
        assert cost_of(entry.architecture, space) <= 1.15


def test_bounds_that_do_not_add_up_are_looked_up_for_each_candidate(simulation, planted):
    """What has option 1 in the second stage is said to take too much memory."""
    space = simulation.space_of(3, 3, 3)
    search = planted(space, ({},), (Constraint("peak_memory_mb", "<=", 1.0),))

    def screen(architecture):
        too_much = simulation.genes(architecture)[1] == 1
        return Screening({"latency_ms": 1.0}, {"peak_memory_mb <= 1": 0.5} if too_much else {})

    search.costs = replace(search.costs, screen=screen)
    found = learn(search, simulation.make("proxyless", space, supernet_epochs=1))
    assert len(found) == 8
    assert all(simulation.genes(entry.architecture)[1] != 1 for entry in found)


def test_the_second_order_finds_the_planted_optimum_too(simulation, planted):
    search = planted(simulation.space_of(3, 3, 3), ({"latency_ms": 1.35},))
    [found] = learned(simulation, "darts", search, order=2)
    assert simulation.genes(found.architecture) == [1, 1, 0]


def test_candidates_for_when_the_measured_latency_is_more_are_cheaper(simulation, planted):
    space = simulation.space_of(3, 3, 3)
    search = planted(space, ({"latency_ms": 1.35},))
    method = simulation.make("darts", space, supernet_epochs=1, candidates=8)
    costs = [cost_of(entry.architecture, space) for entry in learn(search, method)]
    assert len(costs) > 2
    assert max(costs) <= 1.35
    assert max(costs[-2:]) <= 1.35 * 0.9


def test_a_target_that_nothing_keeps_is_said_and_left_out(simulation, planted):
    space = simulation.space_of(3, 3, 3)
    search = planted(space, ({"latency_ms": 0.5}, {"latency_ms": 1.2}))
    said = []
    search.resources.note = said.append
    found = learn(search, simulation.make("gdas", space, supernet_epochs=1))
    assert {entry.target["latency_ms"] for entry in found} == {1.2}
    assert said == [
        "By the predictions latency_ms <= 0.5 cannot be kept, the least that the space has is 1."
    ]


def test_where_no_target_can_be_kept_nothing_is_trained(simulation, planted):
    space = simulation.space_of(3, 3, 3)
    search = planted(space, ({"latency_ms": 0.5},))
    with pytest.raises(AttnasError) as error:
        learn(search, simulation.make("gdas", space))
    assert str(error.value) == (
        "no target can be kept: latency_ms <= 0.5 cannot be kept, the least that the space has "
        "is 1. Loosen the bound or allow cheaper options; no supernet was trained."
    )


def test_what_is_undecided_by_hand(simulation):
    space = simulation.space_of(4, 2, 1)
    found = undecided(space, [torch.zeros(4), torch.tensor([3.0, 1.0]).log(), torch.ones(1)])
    three_to_one = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert found["layer1"] == pytest.approx(
        {"entropy": math.log(4), "entropy_share": 1, "margin": 0}
    )
    assert found["layer2"] == pytest.approx(
        {"entropy": three_to_one, "entropy_share": three_to_one / math.log(2), "margin": 0.5}
    )
    assert found["layer3"] == {"entropy": 0, "entropy_share": 0, "margin": 1}


@pytest.fixture(scope="module")
def digits():
    """Few digits, a small space and a latency table that is known to be right."""
    data = load_data("digits", make_task("classification", {}), train=240, validation=100)
    backbone = make_backbone(
        name="resnet_cifar",
        arguments={"depth": 8, "width": 4},
        input_shape=data.input_shape,
        output_shape=(len(data.classes),),
    )
    space = SearchSpace.create(
        backbone, blocks=["none", "se", "eca"], ratios=[4], placements=["residual"]
    )
    params = additive_costs(space, ["params"])["params"]
    scaled = tuple(tuple(c / 1000 for c in stage) for stage in params.costs)
    cost = AdditiveCost("latency_ms", 1.0, scaled)
    return data, space, cost


@pytest.fixture(scope="module")
def resources(sharing, digits):
    """What is given to a preparation in a folder."""
    data, space, cost = digits

    def made(folder, *, progress=lambda *_: None, **changed):
        recipe = Recipe(epochs=1, batch_size=48, **changed)
        return Resources(
            training=partial(sharing.shared_training, space, recipe=recipe, data=data),
            constraints=(),
            screen=lambda a: Screening({"latency_ms": cost_of(a, space, cost)}),
            additive_costs=partial(additive_costs, space),
            latency_table=lambda: LatencyTable(space, cost, TableError(0.01, 0.9, 0.9)),
            facts=recipe.model_dump(),
            folder=folder,
            progress=progress,
            note=lambda _: None,
        )

    return made


def strategy(digits, name, **settings):
    return make_strategy(
        name,
        space=digits[1],
        objectives=(Objective("accuracy", "max"), Objective("latency_ms", "min")),
        epochs=1,
        seed=3,
        targets={"latency_ms": [1.05, "1.2x"]},
        supernet_epochs=3,
        warmup=0.2,
        check=1,
        candidates=2,
        **settings,
    )


@every_method
def test_a_killed_training_goes_on_and_ends_as_an_unbroken_one(digits, resources, tmp_path, name):
    unbroken = strategy(digits, name).prepare(resources(tmp_path / "unbroken"))

    def killing(what, done, steps):
        if done == 2 * steps // 3 + 1:
            raise KeyboardInterrupt

    broken = resources(tmp_path / "broken", progress=killing)
    with pytest.raises(KeyboardInterrupt):
        strategy(digits, name).prepare(broken)
    steps: list[int] = []
    again = replace(broken, progress=lambda what, done, _: steps.append(done))
    torch.manual_seed(5)  # the global generator is ignored
    before = torch.get_rng_state().tolist()
    found = strategy(digits, name).prepare(again)
    assert torch.get_rng_state().tolist() == before
    assert steps[0] == 8  # 4 steps an epoch: the two that were finished are not repeated
    assert found == unbroken
    third = strategy(digits, name).prepare(resources(tmp_path / "broken"))
    assert third == unbroken


@every_method
def test_what_is_recommended_keeps_its_target_and_says_what_is_undecided(
    digits, resources, tmp_path, name
):
    _, space, cost = digits
    recommended = strategy(digits, name).prepare(resources(tmp_path))
    for entry in recommended.found.candidates:
        assert cost_of(entry.architecture, space, cost) <= entry.target["latency_ms"]
        assert set(entry.undecided) == set(space.names)
        assert entry.predicted["latency_ms"] == cost_of(entry.architecture, space, cost)
    assert [e.target["latency_ms"] for e in recommended.found.candidates[::2]] == pytest.approx(
        [1.05, 1.2]
    )
    assert recommended.propose(History()).architecture in space


def test_a_training_that_diverges_names_the_epoch_and_a_remedy(digits, resources, tmp_path):
    hot = resources(tmp_path, learning_rate=1e9)
    with pytest.raises(AttnasError, match=r"diverged in epoch 1.*Lower training.learning_rate"):
        strategy(digits, "gdas").prepare(hot)


def test_unprepared_it_proposes_nothing(digits):
    with pytest.raises(ValueError, match="call `prepare`"):
        strategy(digits, "proxyless").propose(History())


def test_the_loss_is_smoothed_as_the_task_says(sharing, digits):
    """Scores 2 and 0 for the first of two classes: 0.9 of its loss and 0.1 of the mean loss."""
    net = Planted()
    inputs, labels = torch.tensor([2.0]), torch.tensor([0])
    gates = [torch.tensor([0.0, 0.0, 0.0])] * 3
    task = make_task("classification", {"label_smoothing": 0.1})
    by = sharing.shared_training(digits[1], data=digits[0], task=task)
    step = Step(net, by, [], (inputs, labels), (inputs, labels), torch.Generator(), 0.0, 0.1)
    right, wrong = math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))
    expected = 0.9 * right + 0.1 * (right + wrong) / 2
    assert step.loss(gates, step.training).item() == pytest.approx(expected)
