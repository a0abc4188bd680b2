import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from attnas.core import METRICS, TrainingResult, register_metric
from attnas.evaluator import (
    Data,
    FromBackbone,
    FunctionTrainer,
    Pool,
    Recipe,
    TaskTrainer,
    TrainingFailed,
    interval_of,
    make_task,
    taken_by,
    train,
)
from attnas.evaluator.trainers import OFFERED
from attnas.search_space import Architecture, Backbone, SearchSpace, build, stage_decisions

BACKBONE = Backbone("resnet_cifar", (("depth", 8), ("width", 4)), (1, 8, 8), (2,))
SPACE = SearchSpace.create(
    BACKBONE, blocks=["none", "se", "eca"], ratios=[2], placements=["residual"]
)
PLAIN, WITH_SE = SPACE.plain, SPACE.architecture(["se:r2@residual", "none", "none"])
RECIPE = Recipe(epochs=2, batch_size=8, learning_rate=0.1, precision="float32")
TASK = make_task("classification", {})


def pool(count, seed):
    """Dark images of the one class and bright ones of the other."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    noise = torch.randint(200, (count, 1, 8, 8), generator=draw)
    return Pool((noise + 50 * labels[:, None, None, None]).to(torch.uint8), labels)


DATA = Data(
    pool(32, 0), pool(20, 1), pool(30, 2), ("dark", "bright"), {"sizes": 1, "splits_sha256": "a"}
)


def trainer(recipe=RECIPE, *, data=DATA, task=TASK, seed=3, **settings):
    return TaskTrainer(data, task, recipe, seed=seed, **settings)


def figures(result: TrainingResult):
    """All but the time."""
    return result.metrics, result.scores, result.losses, result.intervals


def files(folder: Path):
    return [file for file in folder.rglob("*") if file.is_file()]


def test_it_trains_the_built_network_for_the_task():
    result = trainer().train(WITH_SE, 2)
    expected = train(build(WITH_SE, seed=3), DATA, TASK, RECIPE, seed=3, epochs=2)
    assert figures(result) == figures(expected)
    assert (result.epochs, result.precision, result.failure) == (2, "float32", "")


def test_the_same_seed_gives_the_same_figures_and_another_others():
    first = figures(trainer().train(WITH_SE, 1))
    torch.rand(5)
    assert figures(trainer().train(WITH_SE, 1)) == first
    assert figures(trainer(seed=4).train(WITH_SE, 1)) != first
    assert figures(trainer(seed=9).train(WITH_SE, 1, seed=3)) == first


def test_all_architectures_share_the_backbones_start_and_the_batches():
    """Common random numbers: what differs between two trials is what was decided."""
    seen = []
    hook = nn.modules.module.register_module_forward_pre_hook(
        lambda module, given: (
            seen.append(given[0].clone())
            if isinstance(module, nn.Conv2d) and module.in_channels == 1 and module.training
            else None
        )
    )
    try:
        trainer().train(PLAIN, 1)
        plain, seen[:] = list(seen), []
        trainer().train(WITH_SE, 1)
    finally:
        hook.remove()
    assert len(plain) == len(seen) == 4
    assert all(torch.equal(a, b) for a, b in zip(plain, seen, strict=True))
    plain_weights, own = build(PLAIN, seed=3).state_dict(), build(WITH_SE, seed=3).state_dict()
    assert all(torch.equal(own[name], plain_weights[name]) for name in plain_weights)


def test_the_split_that_is_asked_for_is_scored():
    assert trainer().train(WITH_SE, 1).scores.items == 20
    assert trainer().train(WITH_SE, 1, split="test").scores.items == 30


def test_epochs_are_told_and_metrics_that_are_asked_for_are_computed():
    register_metric("mean_output", better="max")(lambda outputs, targets: outputs.mean())
    try:
        told = []
        one = trainer(metrics=["mean_output"])
        result = one.train(WITH_SE, 2, lambda epoch, loss: told.append((epoch, loss)))
    finally:
        del METRICS._found["mean_output"], METRICS._defined["mean_output"]
    assert told == list(enumerate(result.losses, 1))
    assert result.metrics.keys() == {"accuracy", "validation_loss", "mean_output"}


def test_trainings_begin_with_the_weights_that_are_given():
    weights = build(PLAIN, seed=77).state_dict()
    warm = trainer(start=FromBackbone(weights, "trained")).train(PLAIN, 1)
    network = build(PLAIN, seed=0)
    network.load_state_dict(weights)
    assert figures(warm) == figures(train(network, DATA, TASK, RECIPE, seed=3, epochs=1))


def test_a_training_goes_on_in_another_trainer_to_the_figures_of_one_go(tmp_path):
    whole = trainer().train(WITH_SE, 4)
    told = []
    for epochs in (1, 2):
        trainer(checkpoints=tmp_path).train(WITH_SE, epochs, schedule_epochs=4)
    assert len(files(tmp_path)) == 1
    last = trainer(checkpoints=tmp_path).train(WITH_SE, 4, lambda epoch, _: told.append(epoch))
    assert figures(last) == figures(whole)
    assert told == [3, 4]
    assert files(tmp_path) == []  # it is finished


def test_whatever_decides_a_training_gives_another_checkpoint(tmp_path):
    random_starts = Architecture(BACKBONE, WITH_SE.decisions, WITH_SE.options, identity_start=False)
    other_data = Data(*(DATA.train,) * 3, DATA.classes, {"sizes": 2})
    smoothed = make_task("classification", {"label_smoothing": 0.1})
    cases = [
        (trainer, WITH_SE),
        (trainer, SPACE.architecture(["eca@residual", "none", "none"])),
        (trainer, random_starts),
        (lambda **k: trainer(seed=4, **k), WITH_SE),
        (lambda **k: trainer(data=other_data, **k), WITH_SE),
        (lambda **k: trainer(task=smoothed, **k), WITH_SE),
        (lambda **k: trainer(Recipe(**{**dict(RECIPE), "warmup": 0.3}), **k), WITH_SE),
        (lambda **k: trainer(start=FromBackbone(build(PLAIN, seed=0).state_dict(), "x"), **k),
         WITH_SE),
    ]  # fmt: skip
    for number, (make, architecture) in enumerate(cases, start=1):
        make(checkpoints=tmp_path).train(architecture, 1, schedule_epochs=2)
        assert len(files(tmp_path)) == number
    # the schedule's length is another training, the recipe's own epochs and its limit are not
    trainer(checkpoints=tmp_path).train(WITH_SE, 1, schedule_epochs=3)
    assert len(files(tmp_path)) == len(cases) + 1
    told = []
    later = RECIPE.model_copy(update={"epochs": 9, "time_limit_s": 1000.0})
    trainer(later, checkpoints=tmp_path).train(
        WITH_SE, 2, lambda epoch, _: told.append(epoch), schedule_epochs=3
    )
    assert told == [2]


def test_the_environment_names_device_and_precision():
    assert trainer().environment() == {"training_device": "cpu", "precision": "float32"}
    half = RECIPE.model_copy(update={"precision": "bfloat16"})
    assert trainer(half).environment()["precision"] == "bfloat16"


def function_trainer(function, **settings):
    return FunctionTrainer(function, seed=3, label="lab:own", **settings)


def test_the_metrics_that_a_function_returns_are_the_result():
    result = function_trainer(lambda network: {"score": np.float32(0.5), "loss": 2}).train(
        WITH_SE, 5
    )
    assert result.metrics == {"score": 0.5, "loss": 2.0}
    assert all(type(value) is float for value in result.metrics.values())
    assert (result.epochs, result.scores, result.intervals) == (5, None, {})
    assert (result.losses, result.failure) == ((), "")


RIGHT = np.array([True, True, False, True])


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (RIGHT, "bits"),
        (RIGHT.tolist(), "bits"),
        (torch.tensor(RIGHT), "bits"),
        (RIGHT.astype(float), "float32"),
        ([1, 1, 0, 1], "float32"),
        (torch.tensor([0.5, 1.0, 0.5, 1.0], requires_grad=True), "float32"),
    ],
    ids=["bools", "list of bools", "tensor", "floats", "integers", "tensor with gradient"],
)
def test_a_pair_has_a_score_for_each_item_too(given, kind):
    result = function_trainer(lambda network: ({"top": 0.75, "loss": 1.0}, given)).train(PLAIN, 1)
    assert result.scores.metric == "top"
    assert (result.scores.items, result.scores.kind, result.scores.mean) == (4, kind, 0.75)
    assert result.intervals == {"top": interval_of(result.scores)}
    assert result.metrics == {"top": 0.75, "loss": 1.0}


def test_scores_of_any_size_are_held_against_their_metric():
    large = np.linspace(1, 9e7, 77)
    result = function_trainer(lambda network: ({"error": large.mean()}, large)).train(PLAIN, 1)
    assert result.scores.mean == pytest.approx(large.mean(), rel=1e-6)
    unknown = function_trainer(lambda network: ({"error": math.nan}, [math.nan, 1.0]))
    assert math.isnan(unknown.train(PLAIN, 1).metrics["error"])  # the search says what is missing


def message(function, **settings):
    with pytest.raises(TrainingFailed) as caught:
        function_trainer(function, **settings).train(WITH_SE, 1)
    return str(caught.value)


NEEDED = "; a mapping of metrics, or a pair of that and the scores of the items, is needed"


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, f"lab:own returned NoneType{NEEDED}"),
        (0.93, f"lab:own returned float{NEEDED}"),
        ({}, f"lab:own returned dict{NEEDED}"),
        ([{"top": 1}], f"lab:own returned list{NEEDED}"),
        (({"top": 1}, RIGHT, 3), f"lab:own returned tuple{NEEDED}"),
        ((0.75, RIGHT), f"lab:own returned float{NEEDED}"),
        (
            {"top": "high"},
            "a metric is no number: could not convert string to float: 'high'",
        ),
        ({"top": None}, "a metric is no number: float() argument must be a string or a real number"
         ", not 'NoneType'"),
        (({"top": 0.75}, [[1.0], [0.5]]), "a metric is no number: scores of shape (2, 1), not one "
         "an item"),
        (({"top": 0.75}, []), "a metric is no number: scores of shape (0,), not one an item"),
        (({"top": 0.75}, 0.75), "a metric is no number: scores of shape (), not one an item"),
        (
            ({"top": 0.5, "other": 0.75}, RIGHT),
            "the scores of the items have the mean 0.75, which the first metric, top = 0.5, "
            "must be",
        ),
        (
            ({"top": 75.0}, RIGHT),
            "the scores of the items have the mean 0.75, which the first metric, top = 75, "
            "must be",
        ),
    ],
)  # fmt: skip
def test_what_a_function_may_not_return_is_told(returned, said):
    assert message(lambda network: returned) == f"raised: {said}"


def test_a_function_without_a_label_is_called_the_training_function():
    with pytest.raises(TrainingFailed, match="raised: the training function returned NoneType; "):
        FunctionTrainer(lambda network: None, seed=0).train(PLAIN, 1)


def raising(error):
    def function(network):
        raise error

    return function


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("odd width\nof 7"), "raised: ValueError: odd width"),
        (AssertionError(), "raised: AssertionError: AssertionError"),
        (SystemExit(2), "raised: SystemExit: 2"),
        (MemoryError(), "out of memory: MemoryError"),
        (torch.OutOfMemoryError("CUDA out of memory."), "out of memory: CUDA out of memory."),
        (TrainingFailed("diverged", "its loss is nan"), "diverged: its loss is nan"),
    ],
)
def test_whatever_a_function_raises_is_a_failure_of_the_candidate(error, said):
    assert message(raising(error)) == said


def test_an_interruption_passes_through():
    with pytest.raises(KeyboardInterrupt):
        function_trainer(raising(KeyboardInterrupt())).train(PLAIN, 1)


def test_a_function_is_called_with_what_it_takes_of_what_there_is(tmp_path):
    seen = []

    def some(epochs, *, split, network):
        seen.append((epochs, split))
        return {"top": 1}

    def every(network, **others):
        seen.append({**others, "network": network})
        return {"top": 1}

    assert taken_by(some) == {"network", "epochs", "split"}
    assert taken_by(every) == set(OFFERED)
    function_trainer(some).train(WITH_SE, 4)
    one = function_trainer(every, data=DATA, checkpoints=tmp_path)
    heard = []
    one.train(WITH_SE, 4, lambda epoch, loss: heard.append((epoch, loss)), schedule_epochs=9)
    one.train(WITH_SE, 4, seed=8, split="test")
    assert seen[0] == (4, "validation")
    given = seen[1]
    assert set(given) == set(OFFERED)
    assert (given["epochs"], given["schedule_epochs"], given["seed"]) == (4, 9, 3)
    assert (given["device"], given["split"]) == ("cpu", "validation")
    assert given["data"] is DATA
    given["on_epoch"](2, 0.5)
    assert heard == [(2, 0.5)]
    seen[2]["on_epoch"](1, 0.5)  # nobody listens
    assert (seen[2]["schedule_epochs"], seen[2]["seed"], seen[2]["split"]) == (4, 8, "test")


def test_positional_arguments_are_not_offered():
    assert taken_by(lambda network, /, epochs: None) == {"epochs"}


def test_it_gets_the_network_of_the_seed_and_its_own_draws_repeat():
    def draws(network, seed):
        weights = sum(p.sum().item() for p in network.parameters())
        return {"weights": weights, "drawn": torch.rand(()), "seed": seed}

    torch.manual_seed(1)
    after = torch.rand(3)
    torch.manual_seed(1)
    first = function_trainer(draws).train(WITH_SE, 1).metrics
    assert torch.equal(torch.rand(3), after)  # the global generator is left as it was
    assert function_trainer(draws).train(WITH_SE, 1).metrics == first
    other = function_trainer(draws).train(WITH_SE, 1, seed=4).metrics
    assert other["drawn"] != first["drawn"]
    built = build(WITH_SE, seed=3)
    assert first["weights"] == sum(p.sum().item() for p in built.parameters())


def going_on(calls):
    """A training that keeps the number of its epochs in a file and goes on from there."""

    def function(network, epochs, checkpoint):
        state = checkpoint / "epochs.txt"
        begun = int(state.read_text()) if state.exists() else 0
        for epoch in range(begun, epochs):
            calls.append(epoch)
            state.write_text(str(epoch + 1))
        return {"epochs": epochs}

    return function


def test_what_a_function_leaves_in_its_folder_it_finds_when_it_goes_on(tmp_path):
    calls = []
    for epochs in (1, 3):
        one = function_trainer(going_on(calls), checkpoints=tmp_path)
        assert one.goes_on
        one.train(WITH_SE, epochs, schedule_epochs=4)
    function_trainer(going_on(calls), checkpoints=tmp_path).train(WITH_SE, 4)
    assert calls == [0, 1, 2, 3]
    assert files(tmp_path) == []  # it is finished
    function_trainer(going_on(calls), checkpoints=tmp_path).train(WITH_SE, 4)
    assert calls == [0, 1, 2, 3] * 2  # and begins anew


def test_a_training_that_fails_keeps_its_folder(tmp_path):
    def stops(network, epochs, checkpoint):
        (checkpoint / "state").write_text("half")
        raise RuntimeError("stop")

    with pytest.raises(TrainingFailed):
        function_trainer(stops, checkpoints=tmp_path).train(WITH_SE, 4)
    assert [file.read_text() for file in files(tmp_path)] == ["half"]


def test_each_training_has_a_folder_of_its_own(tmp_path):
    folders = []

    def keeps(network, checkpoint):
        assert checkpoint.is_dir()
        folders.append(checkpoint)
        return {"top": 1}

    def one(**settings):
        return FunctionTrainer(
            keeps, **{"seed": 3, "label": "a:b", "checkpoints": tmp_path, **settings}
        )

    options, decisions = WITH_SE.options, stage_decisions(BACKBONE)
    random_starts = Architecture(BACKBONE, decisions, options, identity_start=False)
    warm = FromBackbone(build(PLAIN, seed=0).state_dict(), "x")
    for made, architecture, more in (
        (one(), WITH_SE, {}),
        (one(), PLAIN, {}),
        (one(), random_starts, {}),
        (one(seed=4), WITH_SE, {}),
        (one(), WITH_SE, {"seed": 5}),
        (one(label="a:c"), WITH_SE, {}),
        (one(data=DATA), WITH_SE, {}),
        (one(start=warm), WITH_SE, {}),
        (one(), WITH_SE, {"schedule_epochs": 9}),
    ):
        made.train(architecture, 2, **{"schedule_epochs": 8, **more})
    assert len(set(folders)) == len(folders) == 9


def test_without_a_place_for_checkpoints_there_is_none():
    seen = []

    def function(network, checkpoint):
        seen.append(checkpoint)
        return {"top": 1}

    function_trainer(function).train(WITH_SE, 1)
    assert seen == [None]
    assert not function_trainer(lambda network: {"top": 1}).goes_on


def test_the_precision_of_a_function_is_its_own():
    made = FunctionTrainer(lambda network: {}, seed=0, device="cuda")
    assert made.environment() == {"training_device": "cuda", "precision": "its own"}
