import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score
from torch import nn

from attnas.core import InputError
from attnas.evaluator import Data, Pool, Pools, Recipe, evaluate, load_data, make_task, train

TASK = make_task("regression", {})
NAMES = ("age", "height")


def targets_of(items, seed=0):
    """An age in years and a height in metres."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(50, 20, items), rng.normal(1.7, 0.1, items)
    return torch.from_numpy(np.stack(columns, 1).astype(np.float32))


def data_of(train_targets, validation=None, names=NAMES):
    pools = [
        Pool(torch.zeros(len(t), 3), t)
        for t in (train_targets, train_targets if validation is None else validation)
    ]
    return Data(pools[0], pools[1], pools[1], names, {})


def scored(outputs, data):
    scorer = TASK.scorer(data)
    scorer.update(outputs, data.validation.targets)
    return scorer.result()


def standard(targets):
    """Mean and deviation of each column."""
    values = targets.double().numpy()
    return values.mean(0), values.std(0)


def test_r2_and_the_mean_absolute_error_are_scikit_learns_in_the_targets_units():
    data = data_of(targets_of(200), targets_of(90, seed=1))
    outputs = torch.randn(90, 2, generator=torch.Generator().manual_seed(0)).double()
    truth = data.validation.targets.double().numpy()
    mean, deviation = standard(data.train.targets)
    predicted = outputs.numpy() * deviation + mean
    found = scored(outputs, data)
    assert found.metrics["r2"] == pytest.approx(r2_score(truth, predicted), rel=1e-5)
    assert found.metrics["mean_absolute_error"] == pytest.approx(
        mean_absolute_error(truth, predicted), rel=1e-5
    )
    assert found.metrics["validation_loss"] == pytest.approx(
        np.mean(((predicted - truth) / deviation) ** 2), rel=1e-5
    )
    assert found.scores.mean() == pytest.approx(found.metrics["r2"], abs=1e-12)


def test_the_score_of_an_item_is_what_it_moves_r2_by():
    """Against R2 with a little more weight on the item."""
    data = data_of(targets_of(200), targets_of(90, seed=1))
    outputs = torch.randn(90, 2, generator=torch.Generator().manual_seed(0)).double()
    truth = data.validation.targets.double().numpy()
    mean, deviation = standard(data.train.targets)
    predicted = outputs.numpy() * deviation + mean
    found = scored(outputs, data)
    for item in (0, 7, 89):
        weights = np.ones(90)
        weights[item] += 1e-4
        moved = r2_score(truth, predicted, sample_weight=weights) - r2_score(truth, predicted)
        assert found.scores[item] == pytest.approx(
            found.metrics["r2"] + 90 * moved / 1e-4, rel=1e-3, abs=1e-3
        )


def test_the_scores_have_the_standard_error_of_r2_and_of_paired_differences():
    """Against what R2, and the difference of two networks, varies by over 400 splits."""
    rng, found = np.random.default_rng(0), []
    n, train_targets = 150, torch.tensor([[-1.0], [1.0]])  # of mean 0 and deviation 1
    for _ in range(400):
        truth = rng.normal(size=(n, 1))
        outputs = truth * 0.6 + rng.normal(0, 0.5, (n, 1))
        noisy = outputs + rng.normal(0, 0.3, (n, 1))
        data = data_of(train_targets, torch.from_numpy(truth.astype(np.float32)), ("x",))
        one, other = (scored(torch.from_numpy(o), data) for o in (outputs, noisy))
        errors = [s.std(ddof=1) / n**0.5 for s in (one.scores, one.scores - other.scores)]
        found.append((one.metrics["r2"], one.metrics["r2"] - other.metrics["r2"], *errors))
    r2, difference, error, paired = np.array(found).T
    assert error.mean() == pytest.approx(r2.std(), rel=0.1)
    assert paired.mean() == pytest.approx(difference.std(), rel=0.1)
    assert paired.mean() < 0.8 * error.mean()


def test_perfect_outputs_have_an_r2_of_1_and_the_mean_of_the_split_one_of_0():
    data = data_of(targets_of(100), targets_of(50, seed=1))
    mean, deviation = standard(data.train.targets)
    truth = data.validation.targets.double().numpy()
    perfect = scored(torch.from_numpy((truth - mean) / deviation), data)
    assert perfect.metrics["r2"] == pytest.approx(1)
    assert perfect.metrics["mean_absolute_error"] == pytest.approx(0, abs=1e-4)
    flat = np.broadcast_to((truth.mean(0) - mean) / deviation, truth.shape).copy()
    guessed = scored(torch.from_numpy(flat), data)
    assert guessed.metrics["r2"] == pytest.approx(0, abs=1e-6)


def test_a_target_that_is_constant_in_the_split_is_left_out_of_r2():
    train_targets, validation = targets_of(100), targets_of(30, seed=1)
    validation[:, 1] = 1.7
    data = data_of(train_targets, validation)
    outputs = torch.randn(30, 2, generator=torch.Generator().manual_seed(0)).double()
    mean, deviation = standard(train_targets)
    predicted = outputs.numpy() * deviation + mean
    found = scored(outputs, data)
    expected = r2_score(validation[:, 0].double(), predicted[:, 0])
    assert found.metrics["r2"] == pytest.approx(expected, rel=1e-5)
    assert found.scores.mean() == pytest.approx(found.metrics["r2"])
    assert found.metrics["mean_absolute_error"] == pytest.approx(
        mean_absolute_error(validation, predicted), rel=1e-5
    )
    nothing = scored(outputs, data_of(train_targets, torch.full((30, 2), 1.7)))
    assert nothing.metrics["r2"] == 0
    assert nothing.scores.tolist() == [0] * 30


@pytest.mark.parametrize(
    ("name", "each"),
    [
        ("squared", lambda d: d**2),
        ("absolute", abs),
        ("huber", lambda d: d**2 / 2 if abs(d) <= 1 else abs(d) - 0.5),
    ],
)
def test_the_loss_is_the_written_one_on_standardised_targets(name, each):
    data = data_of(targets_of(40))
    outputs = 2 * torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    mean, deviation = standard(data.train.targets)
    wanted = (data.train.targets.double().numpy() - mean) / deviation
    expected = np.mean([each(d) for d in (outputs.double().numpy() - wanted).flat])
    loss = make_task("regression", {"loss_function": name}).loss(data, "cpu")
    assert loss(outputs, data.train.targets).item() == pytest.approx(expected, rel=1e-4)


def test_an_output_a_target_and_guessing_the_mean():
    data = data_of(targets_of(200), targets_of(90, seed=1))
    assert TASK.output_shape(data) == (2,)
    mean, _ = standard(data.train.targets)
    truth = data.validation.targets.double().numpy()
    assert TASK.box(data) == {
        "r2": (0.0, 1.0),
        "mean_absolute_error": (pytest.approx(np.abs(truth - mean).mean(), rel=1e-4), 0.0),
        "validation_loss": (1.0, 0.0),
    }


def test_facts_have_the_units_of_the_training_targets():
    data = data_of(targets_of(50))
    mean, deviation = standard(data.train.targets)
    facts = TASK.data_facts(data)
    assert facts["target_mean"] == pytest.approx(list(mean), rel=1e-5)
    assert facts["target_deviation"] == pytest.approx(list(deviation), rel=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e6 + 0.1])
def test_a_target_that_is_the_same_for_all_training_items_is_refused(value):
    targets = targets_of(1001)
    targets[:, 1] = value
    with pytest.raises(InputError) as caught:
        TASK.data_facts(data_of(targets))
    assert str(caught.value) == "data: the target 'height' is the same for all items."


def test_splits_share_out_tenths_of_the_first_target():
    targets = torch.arange(100.0).flip(0)[:, None].repeat(1, 2)
    assert TASK.strata(targets).tolist() == sorted([*range(10)] * 10, reverse=True)
    assert TASK.strata(torch.zeros(5, 1)).tolist() == [0] * 5  # all alike: one group
    data = load_data("shapes", TASK, items=400, size=16, targets="areas")
    means = [p.targets[:, 0].mean().item() for p in (data.train, data.validation, data.test)]
    assert max(means) - min(means) < 0.1 * means[0]


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (
            torch.zeros(3, 2, dtype=torch.float64),
            "data: the train targets are torch.float64 of shape (3, 2); torch.float32 of shape "
            "(N, 2) is needed for a regression.",
        ),
        (
            torch.zeros(3),
            "data: the train targets are torch.float32 of shape (3,); torch.float32 of shape "
            "(N, 2) is needed for a regression.",
        ),
        (
            torch.zeros(3, 1),
            "data: the train targets are torch.float32 of shape (3, 1); torch.float32 of shape "
            "(N, 2) is needed for a regression.",
        ),
        (
            torch.tensor([[0, 1], [float("nan"), 0]]),
            "data: the train targets are not all finite numbers.",
        ),
        (
            torch.tensor([[0, 1], [float("inf"), 0]]),
            "data: the train targets are not all finite numbers.",
        ),
    ],
)
def test_targets_that_it_cannot_take_are_refused(targets, message):
    pool = Pool(torch.zeros(len(targets), 4), targets)
    with pytest.raises(InputError) as caught:
        TASK.check(Pools(pool, NAMES))
    assert str(caught.value) == message


@pytest.mark.parametrize("loss_function", ["squared", "absolute", "huber"])
def test_training_raises_r2_and_lowers_the_error_whatever_the_units(loss_function):
    """Two linear targets of signals (N, 2, 12), one in thousands and one in thousandths."""
    task = make_task("regression", {"loss_function": loss_function})
    draw = torch.Generator().manual_seed(0)
    signals = torch.randn(300, 2, 12, generator=draw)
    weights = torch.randn(24, 2, generator=draw)
    clean = signals.flatten(1) @ weights
    targets = clean * torch.tensor([1e3, 1e-3]) + torch.tensor([5e4, 2.0])
    pools = [Pool(signals[a:b], targets[a:b]) for a, b in ((0, 200), (200, 300), (200, 300))]
    data = Data(*pools, ("large", "small"), {})
    network = nn.Sequential(nn.Flatten(), nn.Linear(24, 2))
    nn.init.zeros_(network[1].weight)
    recipe = Recipe(epochs=15, batch_size=20, learning_rate=0.05, precision="float32")
    before = evaluate(network, data.validation, data, task, recipe)
    after = train(network, data, task, recipe, seed=0)
    assert before.metrics["r2"] < 0.5
    assert after.metrics["r2"] > 0.95
    assert after.metrics["mean_absolute_error"] < 0.3 * before.metrics["mean_absolute_error"]
    assert after.scores.metric == "r2"
    assert after.scores.mean == pytest.approx(after.metrics["r2"], abs=1e-6)
    low, high = after.intervals["r2"]
    assert low < after.metrics["r2"] < high
