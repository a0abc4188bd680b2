"""The update rules of darts, against values by hand and gradients through the whole step."""

import pytest
import torch
from torch import nn

from attnas.core import InputError
from attnas.strategies.darts import mixture, unrolled_gradient
from attnas.strategies.relaxation import Step


def test_the_weights_of_a_stage_are_the_softmax_of_its_logits():
    [two, one] = mixture([torch.tensor([0.0, 3.0]).log1p(), torch.tensor([5.0])])
    torch.testing.assert_close(two, torch.tensor([0.2, 0.8]))
    torch.testing.assert_close(one, torch.ones(1))


@pytest.mark.parametrize(("w", "a", "rate"), [(1.0, -0.5, 0.25), (-2.0, 2.0, 0.5), (0.3, 0.7, 0.0)])
def test_the_second_order_gradient_of_two_parabolas_is_that_by_hand(w, a, rate):
    """L_train = (w - a)^2, L_sel = a w - 2 a + 1.

    w' = w - 2 rate (w - a), so dL_sel(w'(a), a)/da = w' - 2 + 2 rate a.
    """
    weight, logit = (torch.tensor([x], dtype=torch.float64, requires_grad=True) for x in (w, a))
    [found] = unrolled_gradient(
        [logit],
        [weight],
        lambda: ((weight - logit) ** 2).sum(),
        lambda: (logit * weight - 2 * logit + 1).sum(),
        rate,
    )
    ahead = w - 2 * rate * (w - a)
    assert found.item() == pytest.approx(ahead - 2 + 2 * rate * a, rel=1e-9)
    assert weight.item() == w


def test_the_second_order_gradient_is_that_through_the_step_of_the_weights():
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    logits = [drawn(3).requires_grad_(), drawn(2).requires_grad_()]
    weights = [drawn(3, 4).requires_grad_(), drawn(2, 4).requires_grad_()]
    training, selection = drawn(5, 4), drawn(5, 4)

    def loss(inputs, by):
        mixed = sum(p @ w for p, w in zip(mixture(logits), by, strict=True))
        return (inputs @ mixed).sigmoid().square().mean()

    steps = torch.autograd.grad(loss(training, weights), weights, create_graph=True)
    ahead = [w - 0.3 * step for w, step in zip(weights, steps, strict=True)]
    exact = torch.autograd.grad(loss(selection, ahead), logits)
    before = [w.detach().clone() for w in weights]
    found = unrolled_gradient(
        logits, weights, lambda: loss(training, weights), lambda: loss(selection, weights), 0.3
    )
    first = torch.autograd.grad(loss(selection, [w.detach() for w in ahead]), logits)
    for ours, theirs, short in zip(found, exact, first, strict=True):
        assert (ours - theirs).abs().max() < 0.02 * (theirs - short).abs().max()
    assert all(torch.equal(a, b) for a, b in zip(before, weights, strict=True))


def test_without_a_gradient_of_the_weights_only_the_direct_part_is_left():
    weight, logit = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    loss = lambda: (3 * logit).sum()  # noqa: E731
    [found] = unrolled_gradient([logit], [weight], loss, loss, 0.5)
    assert found.item() == 3


class Drawing(nn.Module):
    """Its scores depend on a mask of its own, as with dropout; both are recorded."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.seen = []

    def mix(self, weights):
        self.gate = weights[0][1]

    def forward(self, inputs):
        mask, scores = torch.rand(3), self.layer(inputs)
        self.seen.append((float(inputs[0, 0]), mask.tolist(), scores.dtype))
        return scores * self.gate * mask[:2]


def test_the_passes_of_the_second_order_see_the_same_dropout_in_full_precision(simulation, sharing):
    """In a step the three training passes (inputs 1) draw alike, in the next step otherwise."""
    net, labels = Drawing(), torch.zeros(4, dtype=torch.int64)
    training, selection = (torch.ones(4, 3), labels), (torch.zeros(4, 3), labels)
    logits = [torch.zeros(2, dtype=torch.float64, requires_grad=True)]
    generator = torch.Generator().manual_seed(0)
    by = sharing.Drawn(lambda seed, number: [], precision="bfloat16")
    step = Step(net, by, logits, training, selection, generator, 0.5, 0.1)
    method = simulation.make("darts", simulation.space_of(2), order=2)
    masks = []
    for _ in range(2):
        method.gradient(step)
        masks.append([mask for first, mask, _ in net.seen if first == 1])
        assert {dtype for *_, dtype in net.seen} == {torch.float32}
        net.seen.clear()
    assert [len(drawn) for drawn in masks] == [3, 3]
    assert all(mask == drawn[0] for drawn in masks for mask in drawn)
    assert masks[0] != masks[1]


def test_an_order_that_does_not_exist_is_refused(simulation):
    with pytest.raises(InputError) as error:
        simulation.make("darts", simulation.space_of(2), order=3)
    assert str(error.value) == (
        "strategy.order: cannot be 3. Write a whole number from 1 to 2; the default is 1."
    )
