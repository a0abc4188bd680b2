"""The embedded signals, and attention on signals as ECAPA-TDNN has it."""

import numpy as np
import pytest
import torch
from torch import nn

from attnas.core import InputError
from attnas.evaluator import load_data, make_task
from attnas.evaluator.data.signals import KINDS, _pattern, signals
from attnas.search_space import Architecture, Attention, build, make_backbone
from attnas.search_space.blocks import block, hidden_width
from attnas.search_space.layout_adapters import Signal


def test_signals_are_the_same_for_a_seed_and_others_for_another():
    one, again, other = signals(50), signals(50), signals(50, seed=1)
    assert torch.equal(one.train.inputs, again.train.inputs)
    assert torch.equal(one.train.targets, again.train.targets)
    assert not torch.equal(one.train.inputs, other.train.inputs)
    assert one.classes == KINDS
    assert (one.train.inputs.shape, one.train.inputs.dtype) == ((50, 4, 128), torch.float32)


def test_every_pattern_is_within_one_and_occurs():
    rng = np.random.default_rng(0)
    for kind in range(len(KINDS)):
        for extent in (11, 50, 84):
            found = _pattern(kind, extent, rng)
            assert found.shape == (extent,)
            assert 0 < np.abs(found).max() <= 1
    counts = torch.bincount(signals(1200).train.targets, minlength=len(KINDS))
    assert counts.min() > 140  # of 200


def test_a_chirp_rises_where_it_is_called_so():
    """More zero crossings in its second half; fewer in that of a falling one."""
    rng = np.random.default_rng(0)
    halves = {name: np.zeros(2) for name in ("rising", "falling")}
    for name, counted in halves.items():
        for _ in range(200):
            found = _pattern(KINDS.index(name), 80, rng)
            crossings = np.diff(np.signbit(found))
            counted += crossings[:39].sum(), crossings[40:].sum()
    assert halves["rising"][1] > 1.3 * halves["rising"][0]
    assert halves["falling"][0] > 1.3 * halves["falling"][1]


@pytest.mark.parametrize(
    ("option", "value", "needed"),
    [
        ("items", 9, "a whole number from 10 up"),
        ("channels", 0, "a whole number from 1 up"),
        ("length", 16, "a whole number from 32 up"),
        ("length", 64.5, "a whole number from 32 up"),
        ("noise", -1, "a number from 0 to 10"),
        ("noise", True, "a number from 0 to 10"),
    ],
)
def test_options_out_of_range_are_refused(option, value, needed):
    with pytest.raises(InputError) as caught:
        signals(**{option: value})
    assert (caught.value.key, caught.value.problem) == (
        f"data.{option}", f"cannot be {value!r}. Write {needed}.",
    )  # fmt: skip


def test_they_are_split_like_other_data():
    data = load_data("signals", make_task("classification", {}), items=200, validation=40)
    assert data.input_shape == (4, 128)
    assert len(data.validation) == 40


class ReferenceSE(nn.Module):
    """Desplanques et al. 2020, arXiv:2005.07143, eq. 4-6: z the mean of the frames,
    s = sigmoid(W2 f(W1 z + b1) + b2) with f = ReLU, and each channel times its s."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.w1, self.w2 = nn.Conv1d(channels, hidden, 1), nn.Conv1d(hidden, channels, 1)

    def forward(self, h):
        z = h.sum(2, keepdim=True) / h.shape[2]
        return h * torch.sigmoid(self.w2(torch.relu(self.w1(z))))


def copied(ours: nn.Module, weights: list[torch.Tensor]) -> None:
    """Gives our block the weights, in the order of its parameters."""
    with torch.no_grad():
        for own, given in zip(ours.parameters(), weights, strict=True):
            own.copy_(given.reshape(own.shape))


def test_se_on_a_signal_is_that_of_ecapa_tdnn():
    torch.manual_seed(0)
    channels, ratio = 32, 4
    made = block("se").make(channels, ratio, identity_start=False, size=(1, 50))
    reference = ReferenceSE(channels, hidden_width(channels, ratio))
    copied(made, list(reference.parameters()))
    x = torch.randn(3, channels, 50)
    assert torch.allclose(Signal(made)(x), reference(x), atol=1e-6)


def test_eca_on_a_signal_is_its_equation():
    """Wang et al. 2020, arXiv:1910.03151: sigmoid of a convolution over the channels' means."""
    torch.manual_seed(0)
    made = block("eca").make(32, None, identity_start=False, size=(1, 50))
    [weight] = list(made.parameters())
    kernel = weight.detach().flatten()
    x = torch.randn(3, 32, 50)
    means = np.pad(x.mean(2).numpy(), ((0, 0), (len(kernel) // 2,) * 2))
    logits = sum(float(kernel[k]) * means[:, k : k + 32] for k in range(len(kernel)))
    expected = x * torch.sigmoid(torch.from_numpy(logits))[:, :, None]
    assert torch.allclose(Signal(made)(x), expected.float(), atol=1e-6)


def test_the_example_network_has_its_places_found_and_begins_as_without_blocks():
    backbone = make_backbone(
        factory="examples.signals:network", arguments={}, input_shape=(4, 128), output_shape=(6,)
    )
    decision = Attention("units")
    changed = Architecture.read(backbone, [decision], ["se:r4@residual"])
    weights = build(Architecture.plain(backbone, [decision]), seed=0).state_dict()
    networks = [build(changed, seed=0, weights=weights).eval()]
    networks.append(build(Architecture.plain(backbone, [decision]), weights=weights).eval())
    x = torch.randn(2, 4, 128)
    with torch.no_grad():
        assert torch.allclose(networks[0](x), networks[1](x), atol=1e-4)
    assert sum(isinstance(module, Signal) for module in networks[0].modules()) == 3
