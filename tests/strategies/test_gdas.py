"""The sampling of gdas: which paths it draws, and what gradient it gives them."""

import pytest
import torch

from attnas.core import InputError
from attnas.strategies.gdas import Gdas, straight_through

LOGITS = torch.tensor([0.0, 1.0, -1.0, 0.5], dtype=torch.float64)


def plain(gates):
    return [gate.item() if isinstance(gate, torch.Tensor) else gate for gate in gates]


def test_paths_are_drawn_by_their_probabilities():
    generator = torch.Generator().manual_seed(0)
    counts = torch.zeros(4)
    for _ in range(4000):
        [gates] = straight_through([LOGITS], generator, temperature=3.0)
        counts += torch.tensor(plain(gates))
    expected = LOGITS.softmax(0)
    deviation = (expected * (1 - expected) / 4000).sqrt()
    assert ((counts / 4000 - expected).abs() < 4 * deviation).all()


@pytest.mark.parametrize("temperature", [10.0, 1.0, 0.1])
def test_the_drawn_gate_has_the_gradient_of_its_relaxed_weight(temperature):
    """h_k (1[i = k] - h_i) / t by hand, h the softmax of (log p + o) / t with the same o."""
    logits = LOGITS.clone().requires_grad_()
    [gates] = straight_through([logits], torch.Generator().manual_seed(5), temperature)
    uniform = torch.rand(4, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    gumbel = -(-uniform.log()).log()
    noisy = (LOGITS.softmax(0).log() + gumbel) / temperature
    h = noisy.exp() / noisy.exp().sum()
    k = int(noisy.argmax())
    by_hand = h[k] * (torch.eye(4, dtype=torch.float64)[k] - h) / temperature
    assert plain(gates) == [float(i == k) for i in range(4)]
    [found] = torch.autograd.grad(gates[k], [logits])
    torch.testing.assert_close(found, by_hand)


def test_paths_that_were_not_drawn_are_plain_zeros():
    [gates] = straight_through([LOGITS], torch.Generator().manual_seed(1), 1.0)
    assert sum(isinstance(gate, torch.Tensor) for gate in gates) == 1
    assert sum(gate == 0.0 for gate in gates) == 3


def test_the_temperature_falls_in_a_straight_line(simulation):
    strategy = simulation.make("gdas", simulation.space_of(2))
    assert isinstance(strategy, Gdas)
    temperatures = [strategy.temperature(done) for done in (0, 0.5, 1)]
    assert temperatures == pytest.approx([10, 5.05, 0.1])


def test_a_temperature_that_rises_is_refused(simulation):
    with pytest.raises(InputError) as error:
        simulation.make("gdas", simulation.space_of(2), temperature_start=0.5, temperature_end=2.0)
    assert str(error.value) == (
        "strategy.temperature_end: cannot be 2, more than at the start. Write at most 0.5."
    )
