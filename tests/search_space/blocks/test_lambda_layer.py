import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.lambda_layer import LambdaLayer


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("size", [(5, 3), (2, 12)])
def test_lambda_matches_the_equation(randomise, normed, generator, size, order):
    layer = randomise(LambdaLayer(64))
    x = torch.randn(2, 64, *size, generator=generator, dtype=torch.float64)
    qkv = torch.einsum("nchw,dc->ndhw", x, layer.to_qkv.weight)
    q, k, v = qkv.split((64, 16, 16), 1)
    q = normed(q, layer.query_norm).unflatten(1, (4, 16))  # (N, heads, k, H, W)
    v = normed(v, layer.value_norm)
    keys = k.flatten(2).softmax(2).unflatten(2, size)
    content = torch.einsum("nkhw,nvhw->nkv", keys, v)
    padded = F.pad(v, (4, 4, 4, 4))
    y = torch.empty_like(x)
    for i in range(size[0]):
        for j in range(size[1]):
            around = padded[:, :, i : i + 9, j : j + 9]
            lam = torch.einsum("kab,nvab->nkv", layer.position.weight[:, 0], around)
            lam = content + lam + layer.position.bias[:, None]
            y[:, :, i, j] = torch.einsum("nhk,nkv->nhv", q[:, :, :, i, j], lam).flatten(1)
    assert_close(layer(x.to(memory_format=order)), y)


def test_lambda_has_the_parameters_of_its_layers():
    projection = 64 * (4 * 16 + 16 + 16)
    assert block("lambda").params(64, 8, 8, None) == projection + 2 * 64 + 2 * 16 + 16 * 82


def test_lambda_agrees_with_timm(timm_class, randomise, assert_agree, x):
    theirs = timm_class("layers.lambda_layer", "LambdaLayer")
    assert_agree(randomise(LambdaLayer(64)), theirs(64, num_heads=4), x)
