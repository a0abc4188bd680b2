"""The two-path update of proxyless, against the paper's sum and enumerated draws."""

import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st

from attnas.strategies.proxyless import one_path, rescaled, two_paths

LOGITS = torch.tensor([0.0, 1.0, -1.0, 0.5], dtype=torch.float64)
LOSSES = torch.tensor([0.3, -0.2, 0.9, 0.1], dtype=torch.float64)


def plain(gates):
    return [gate.item() if isinstance(gate, torch.Tensor) else gate for gate in gates]


def test_the_two_logits_get_the_gradient_of_the_gates_by_hand():
    """dL/da_i = sum_j dL/dg_j q_j (1[i = j] - q_i), for two options q_a q_b (L_a - L_b)."""
    for seed in range(20):
        logits = LOGITS.clone().requires_grad_()
        gates = two_paths(logits, torch.Generator().manual_seed(seed))
        a, b = (i for i, gate in enumerate(gates) if isinstance(gate, torch.Tensor))
        loss = sum(gate * value for gate, value in zip(gates, LOSSES.tolist(), strict=True))
        [found] = torch.autograd.grad(loss, [logits])
        q = float(LOGITS[a].exp() / (LOGITS[a].exp() + LOGITS[b].exp()))
        expected = torch.zeros(4, dtype=torch.float64)
        expected[a] = q * (1 - q) * (LOSSES[a] - LOSSES[b])
        expected[b] = -expected[a]
        torch.testing.assert_close(found, expected)
        assert sorted(plain(gates)) == [0, 0, 0, 1]


def test_pairs_and_their_gates_are_drawn_by_the_probabilities():
    """Over all ordered pairs p_a p_b / (1 - p_a), then q of the two."""
    p = LOGITS.softmax(0).tolist()
    expected = torch.zeros(4, dtype=torch.float64)
    for a, b in itertools.permutations(range(4), 2):
        expected[a] += p[a] * p[b] / (1 - p[a]) * p[a] / (p[a] + p[b])
        expected[b] += p[a] * p[b] / (1 - p[a]) * p[b] / (p[a] + p[b])
    generator, draws = torch.Generator().manual_seed(0), 4000
    counts = torch.zeros(4, dtype=torch.float64)
    for _ in range(draws):
        counts += torch.tensor(plain(two_paths(LOGITS, generator)))
    deviation = (expected * (1 - expected) / draws).sqrt()
    assert ((counts / draws - expected).abs() < 4 * deviation).all()


def test_the_path_for_the_weights_is_drawn_by_the_probabilities():
    generator, draws = torch.Generator().manual_seed(0), 4000
    counts = torch.zeros(4, dtype=torch.float64)
    for _ in range(draws):
        counts += torch.tensor(one_path(LOGITS, generator), dtype=torch.float64)
    expected = LOGITS.softmax(0)
    deviation = (expected * (1 - expected) / draws).sqrt()
    assert ((counts / draws - expected).abs() < 4 * deviation).all()


def test_a_frozen_stage_has_its_one_gate_open():
    generator = torch.Generator().manual_seed(0)
    assert two_paths(torch.zeros(1), generator) == [1.0]
    assert one_path(torch.zeros(1), generator) == [1.0]


@given(
    logits=st.lists(st.floats(-5, 5), min_size=3, max_size=6),
    steps=st.tuples(st.floats(-2, 2), st.floats(-2, 2)),
)
def test_a_step_of_two_logits_leaves_the_probabilities_of_the_others(logits, steps):
    before = torch.tensor(logits, dtype=torch.float64)
    after = before.clone()
    after[:2] += torch.tensor(steps, dtype=torch.float64)
    found = rescaled(before, after)
    torch.testing.assert_close(found.softmax(0)[2:], before.softmax(0)[2:])
    both = (after != before)[:2].all()
    if both:  # their ratio is what the step made it
        torch.testing.assert_close(found[0] - found[1], after[0] - after[1])


def test_rescaling_by_hand():
    """exp: (1, 1, 2) to (3, 1, 2) by the step; 2 of 4 shared as 3 : 1 gives (1.5, 0.5, 2)."""
    before = torch.tensor([1.0, 1.0, 2.0]).log()
    moved = torch.tensor([6.0, 2.0, 2.0]).log()
    torch.testing.assert_close(rescaled(before, moved).exp(), torch.tensor([1.5, 0.5, 2.0]))
