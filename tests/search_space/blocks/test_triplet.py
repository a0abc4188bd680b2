import torch
import torch.nn.functional as F
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.triplet import TripletAttention


def equation(triplet, x, normed, scale=1):
    def weighed(z, gate):
        """(N, pooled axis, A, B) by a gate on A x B."""
        maps = torch.stack((z.max(1).values, z.mean(1)), 1)
        scores = F.conv2d(F.pad(maps, (3, 3, 3, 3)), gate.conv.weight)
        return z * scale * normed(scores, gate.norm).sigmoid()

    on_map = weighed(x, triplet.height_width)
    on_columns = weighed(x.permute(0, 2, 1, 3), triplet.channel_width).permute(0, 2, 1, 3)
    on_rows = weighed(x.permute(0, 3, 2, 1), triplet.height_channel).permute(0, 3, 2, 1)
    return (on_map + on_columns + on_rows) / 3


def test_triplet_matches_the_equation(randomise, normed, x):
    triplet = randomise(TripletAttention(64))
    assert_close(triplet(x), equation(triplet, x, normed))


def test_triplet_with_an_identity_start_doubles_its_gates_once_trained(randomise, normed, x):
    triplet = randomise(TripletAttention(64, identity_start=True))
    assert_close(triplet(x), equation(triplet, x, normed, scale=2))


def test_triplet_has_the_parameters_of_the_literature_at_any_width():
    assert [block("triplet").params(c, 8, 8, None) for c in (1, 64)] == [300, 300]


def test_triplet_is_legal_wherever_it_trains_on_a_batch_of_one():
    assert not block("triplet").legal(64, 1, 1, None)
    assert block("triplet").legal(64, 1, 2, None)
