"""Against values worked out by hand on networks of one or two layers."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attnas.evaluator import BatchProxies, Data, Pool, Recipe, make_task
from attnas.evaluator.proxies import grad_norm, naswot, proxies, synflow
from attnas.search_space import Architecture, Backbone, stage_decisions

PROXIES = ("synflow", "naswot", "grad_norm")
BACKBONE = Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (1, 8, 8), (3,))


def linear(weight, bias=None):
    layer = nn.Linear(len(weight[0]), len(weight), bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        if bias is not None:
            layer.bias.copy_(torch.tensor(bias))
    return layer


def test_synflow_of_two_layers_is_twice_the_flow():
    # |W1| 1 = (3, 7), |W2| (3, 7) = 3 + 14 = 17: each layer's sum of theta dR/dtheta is R.
    network = nn.Sequential(
        nn.Flatten(), linear([[1.0, -2.0], [3.0, 4.0]]), nn.ReLU(), linear([[-1.0, 2.0]])
    )
    assert synflow(network, (2, 1, 1)) == pytest.approx(math.log(2 * 17))


def test_synflow_counts_biases_and_the_scale_of_norms():
    # R = |g| (|w| 1 + |b|) / sqrt(1 + eps) with w = -2, b = 3, g = 0.5: w gives 1, b 1.5, g 2.5.
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0.0), nn.Flatten())
    with torch.no_grad():
        network[0].weight.fill_(-2.0)
        network[0].bias.fill_(3.0)
        network[1].weight.fill_(0.5)
    assert synflow(network, (1, 1, 1)) == pytest.approx(math.log(1 + 1.5 + 2.5))


def test_synflow_of_a_network_without_flow_is_minus_infinity():
    assert synflow(nn.Sequential(nn.Flatten(), linear([[0.0]])), (1, 1, 1)) == -math.inf


class Functional(nn.Module):
    def forward(self, x):
        return F.relu(x)


@pytest.mark.parametrize(
    "rectifier", [nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6(), Functional()], ids=repr
)
def test_naswot_counts_the_units_that_two_images_have_in_common(rectifier):
    # Codes 101 and 110: they differ in 2 of 3 units, so K = [[3, 1], [1, 3]], |K| = 8.
    images = torch.tensor([[1.0, -1.0, 2.0], [3.0, 1.0, -1.0]])
    assert naswot(nn.Sequential(rectifier), images) == pytest.approx(math.log(8))


def test_naswot_adds_the_units_of_all_layers():
    # A second layer of one unit: active for the first image alone, so K = [[4, 1], [1, 4]].
    second = linear([[1.0, -1.0, 1.0]])
    images = torch.tensor([[1.0, -1.0, 2.0], [0.0, 1.0, -1.0], [-1.0, -1.0, -1.0]])
    codes = torch.tensor([[1, 0, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0]])
    kernel = [[int((a == b).sum()) for b in codes] for a in codes]
    expected = torch.tensor(kernel).double().det().log().item()
    assert naswot(nn.Sequential(nn.ReLU(), second, nn.ReLU()), images) == pytest.approx(expected)


def test_naswot_of_two_images_with_one_code_is_minus_infinity():
    assert naswot(nn.Sequential(nn.ReLU()), torch.ones(2, 3)) == -math.inf


def test_grad_norm_is_the_sum_of_the_norms_of_the_layers():
    # At zero p = (1/2, 1/2): dL/dW = (-1/2, 1/2) x^T, |x| = 5, so 5/sqrt(2), and 1/sqrt(2) for b.
    network = linear([[0.0, 0.0], [0.0, 0.0]], [0.0, 0.0])
    found = grad_norm(network, torch.tensor([[3.0, 4.0]]), torch.tensor([0]), F.cross_entropy)
    assert found == pytest.approx(6 / math.sqrt(2))


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (30, 1, 8, 8), dtype=torch.uint8, generator=generator)
    pool = Pool(images, torch.arange(30) % 3)
    return Data(pool, pool, pool, ("a", "b", "c"), {})


def batch_proxies(data, *, seed=4, task="classification", names=PROXIES):
    return BatchProxies(names, data, make_task(task, {}), Recipe(batch_size=16), seed=seed)


def architecture(*options, identity_start=True):
    return Architecture.read(BACKBONE, stage_decisions(BACKBONE), options, identity_start)


def test_proxies_are_the_same_at_every_call_and_leave_torch_s_generator(data):
    one = architecture("se:r4@residual", "none", "cbam:r2@post")
    before = torch.get_rng_state()
    found = batch_proxies(data)
    first = found(one)
    assert list(first) == list(PROXIES)
    assert all(math.isfinite(value) for value in first.values())
    assert found(one) == batch_proxies(data)(one) == first
    assert batch_proxies(data, seed=2)(one) != first
    assert torch.equal(torch.get_rng_state(), before)


def test_the_batch_is_the_first_of_the_seed_whatever_the_architecture(data):
    found = batch_proxies(data)
    inputs, targets = found._batch
    assert inputs.shape == (16, 1, 8, 8)
    again, labels = batch_proxies(data)._batch
    assert torch.equal(inputs, again)
    assert torch.equal(targets, labels)
    one = architecture("se:r4@pre", "none", "none")
    names = ("naswot", "grad_norm")
    expected = proxies(one, names, (inputs, targets), F.cross_entropy, seed=4)
    assert batch_proxies(data, names=names)(one) == expected


def test_the_batch_is_in_a_layout_in_which_no_backward_pass_could_end_the_process():
    """As `safe_layout` says: blocks may have narrow strided convolutions too."""
    pool = Pool(torch.zeros(20, 3, 8, 8, dtype=torch.uint8), torch.arange(20) % 3)
    inputs, _ = batch_proxies(Data(pool, pool, pool, ("a", "b", "c"), {}))._batch
    assert inputs.is_contiguous()


def test_proxies_tell_architectures_apart_also_where_these_start_as_the_identity(data):
    found = [
        batch_proxies(data, seed=1)(architecture(*texts, identity_start=True))
        for texts in (["none"] * 3, ["se:r4@pre"] * 3, ["eca@pre"] * 3)
    ]
    for name in PROXIES:
        assert len({values[name] for values in found}) == 3, name


def test_a_gradient_is_that_of_the_tasks_loss(data):
    targets = F.one_hot(data.train.targets, 3)
    pool = Pool(data.train.inputs, targets)
    several = Data(pool, pool, pool, data.classes, {})
    one = architecture("none", "none", "none")
    labels, classes = (
        batch_proxies(some, task=task)(one)
        for some, task in ((several, "multi_label"), (data, "classification"))
    )
    assert labels["grad_norm"] != classes["grad_norm"]
    assert labels["naswot"] == classes["naswot"]


def test_an_unknown_proxy_is_refused(data):
    with pytest.raises(ValueError, match="there is no proxy 'jacob'"):
        batch_proxies(data, names=["jacob"])(Architecture.plain(BACKBONE))
