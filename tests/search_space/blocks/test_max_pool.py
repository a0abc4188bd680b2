import torch

from attnas.search_space import block


def test_maxpool_takes_the_greatest_of_the_pixels_around(x):
    pooled = block("maxpool").make(64, None, identity_start=False)(x)
    for i in range(5):
        for j in range(3):
            around = x[:, :, max(0, i - 1) : i + 2, max(0, j - 1) : j + 2]
            assert torch.equal(pooled[:, :, i, j], around.amax((2, 3)))


def test_maxpool_beside_a_shortcut_is_blended_in_without_a_norm(x):
    wrapped = block("maxpool").make(64, None, identity_start=True, wrapped=True).double()
    assert [name for name, _ in wrapped.named_parameters()] == ["gamma"]
    with torch.no_grad():
        wrapped.gamma.copy_(torch.linspace(0, 1, 64)[:, None, None])
    pooled = torch.nn.functional.max_pool2d(x, 3, 1, 1)
    torch.testing.assert_close(wrapped(x), x + wrapped.gamma * (pooled - x))
