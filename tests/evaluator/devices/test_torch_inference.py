import torch
from torch import nn

from attnas.evaluator.devices.torch_inference import inference


class Recorder(nn.Module):
    """Notes how it is called, in a list that its copies share."""

    def __init__(self, calls):
        super().__init__()
        self.conv, self.calls = nn.Conv2d(3, 4, 3), Shared(calls)

    def forward(self, x):
        self.calls.items.append((x, self.training, torch.is_inference_mode_enabled(), self))
        return self.conv(x)


class Shared:
    def __init__(self, items):
        self.items = items

    def __deepcopy__(self, memo):
        return self


def prepared(network, synchronize=lambda: None):
    return inference(
        network,
        (2, 3, 8, 6),
        place=torch.device("cpu"),
        memory_format=torch.channels_last,
        synchronize=synchronize,
    )


def test_each_call_is_one_evaluation_of_the_same_batch():
    calls = []
    run = prepared(Recorder(calls))
    run()
    run()
    (first, *modes), (second, *_) = calls
    assert first is second
    assert first.shape == (2, 3, 8, 6)
    assert first.is_contiguous(memory_format=torch.channels_last)
    assert modes[:2] == [False, True]  # not training, in inference mode


def test_two_networks_see_the_same_images():
    calls = []
    prepared(Recorder(calls))()
    prepared(Recorder(calls))()
    torch.testing.assert_close(calls[0][0], calls[1][0])


def test_the_network_itself_is_neither_changed_nor_needed():
    calls = []
    network = Recorder(calls)
    run = prepared(network)
    with torch.no_grad():
        network.conv.weight.fill_(7.0)
    run()
    used = calls[0][3]
    assert used is not network
    assert used.conv.weight.abs().max() < 7.0
    assert network.training
    assert network.conv.weight.is_contiguous()


def test_a_call_returns_only_after_synchronising():
    order = []
    network = Recorder(order)
    run = prepared(network, synchronize=lambda: order.append("synchronised"))
    run()
    assert order[-1] == "synchronised"
    assert len(order) == 2
