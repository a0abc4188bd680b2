import torch

from attnas.evaluator import Pool, Pools, register_source


@register_source("own_stripes")
def own_stripes(items: int = 120) -> Pools:
    """Images whose left or right half is bright, by how much."""
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 100, (items, 1, 8, 8), dtype=torch.uint8, generator=draw)
    wanted = torch.rand(items, 1, generator=draw)
    images[:, :, :, 4:] += (150 * wanted)[:, :, None, None].to(torch.uint8)
    return Pools(Pool(images, wanted), ("brightness",))
