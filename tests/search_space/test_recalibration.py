import pytest
import torch
from torch import nn

from attnas.search_space import recalibrate


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.5))


BATCHES = [torch.randn(n, 2, 4, 4, generator=torch.Generator().manual_seed(n)) for n in (5, 3, 8)]


def test_the_statistics_are_those_of_all_batches_together():
    net = network()
    net[1].running_mean.fill_(7)
    recalibrate(net, BATCHES)
    seen = net[0](torch.cat(BATCHES)).transpose(0, 1).flatten(1)
    torch.testing.assert_close(net[1].running_mean, seen.mean(1))
    torch.testing.assert_close(net[1].running_var, seen.var(1, unbiased=False))
    assert net[1].num_batches_tracked == 3


def test_batches_may_come_one_by_one_and_be_few():
    one, many = network(), network()
    recalibrate(one, iter([torch.cat(BATCHES)]))
    recalibrate(many, (batch for batch in BATCHES))
    torch.testing.assert_close(many[1].running_mean, one[1].running_mean)
    torch.testing.assert_close(many[1].running_var, one[1].running_var)
    before = one[1].running_mean.clone()
    recalibrate(one, [])
    assert torch.equal(one[1].running_mean, before)


def test_a_second_norm_sees_what_the_first_gives_in_training():
    net = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2))
    recalibrate(net, [10 * batch + 4 for batch in BATCHES])
    torch.testing.assert_close(net[1].running_mean, torch.zeros(2), atol=1e-5, rtol=0)


def test_modes_momentum_and_parameters_are_left_as_they_were():
    net = network()
    net[1].momentum = 0.3
    net[3].eval()
    before = {name: p.clone() for name, p in net.named_parameters()}
    recalibrate(net, BATCHES)
    assert [m.training for m in net] == [True, True, True, False]
    assert net[1].momentum == 0.3
    assert all(torch.equal(p, before[name]) for name, p in net.named_parameters())
    assert all(p.grad is None for p in net.parameters())


def test_a_norm_that_is_not_run_keeps_its_statistics():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.BatchNorm2d(2), nn.BatchNorm2d(2)

        def forward(self, x):
            return self.used(x)

    net = Branches()
    net.unused.running_mean.fill_(3)
    net.unused.num_batches_tracked.fill_(9)
    recalibrate(net, BATCHES)
    assert net.unused.running_mean.tolist() == [3, 3]
    assert net.unused.num_batches_tracked == 9


def test_a_network_that_raises_gets_everything_back_that_no_batch_reached():
    net = network()
    net[1].running_mean.fill_(7)
    with pytest.raises(RuntimeError, match="expected input"):
        recalibrate(net, [torch.zeros(2, 5, 4, 4), *BATCHES])
    assert net[1].running_mean.tolist() == [7, 7, 7]
    assert (net[1].momentum, net[1].training) == (0.1, True)
    recalibrate(net, BATCHES)  # nothing is left in it that would disturb the next one
    assert net[1].num_batches_tracked == 3


def test_a_network_without_a_norm_is_left_as_it_is():
    net = nn.Conv2d(2, 3, 1).train()
    before = net.weight.clone()
    recalibrate(net, BATCHES)
    assert net.training
    assert torch.equal(net.weight, before)
