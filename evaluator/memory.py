"""Peak activation memory at inference."""

import weakref

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .modes import evaluating


def peak_activation_mb(network: nn.Module, input_shape: tuple[int, ...]) -> float:
    """Most megabytes (1e6 bytes) of activations alive at one time, for one image.

    A tensor is alive from the operator that makes it to the last one that reads it, the
    input from the start, the output to the end. Tensors that share storage (views, in-place
    results) count once; parameters and buffers do not count, nor does the working memory
    inside an operator. The order of operators is that of the forward pass. It depends on the
    network alone: not on threads, allocator, or how long Python keeps a variable.

    Source of the measure: peak of the sum of live tensors over a fixed order of operators,
    as in Liberis & Lane 2019, arXiv:1910.05110, section 3.
    """
    with evaluating(network), torch.inference_mode():
        place = next((p.device for p in network.parameters()), torch.device("cpu"))
        image = torch.zeros(1, *input_shape, device=place)
        lives = _Lives(network)
        lives.seen([image])
        with lives:
            output = network(image)
        lives.step += 1
        lives.seen(tree_leaves(output))
    return lives.peak_bytes() / 1e6


class _Lives(TorchDispatchMode):
    """Notes, for each storage, its size and the first and last operator that touched it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        kept = [*network.parameters(), *network.buffers()]
        self._weights = {_address(tensor) for tensor in kept}
        self._lives: list[list[int]] = []  # [first step, last step, bytes]
        self._by_address: dict[int, list[int]] = {}  # of the storages that still exist
        self.step = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.step += 1
        result = func(*args, **(kwargs or {}))
        self.seen(tree_leaves((args, kwargs)), known_only=True)
        self.seen(tree_leaves(result))
        return result

    def seen(self, values: list, *, known_only: bool = False) -> None:
        """Extends the lives of the tensors among `values` to this step.

        `known_only`: those that no operator made (constants of the network) are left out.
        """
        for tensor in values:
            if not isinstance(tensor, Tensor):
                continue
            address = _address(tensor)
            if address in self._by_address:
                self._by_address[address][1] = self.step
            elif address not in self._weights and not known_only:
                self._begin(address, tensor.untyped_storage())

    def _begin(self, address: int, storage: torch.UntypedStorage) -> None:
        life = [self.step, self.step, storage.nbytes()]
        self._lives.append(life)
        self._by_address[address] = life
        # A freed address may be given out again: forget it at once.
        weakref.finalize(storage, self._by_address.pop, address).atexit = False

    def peak_bytes(self) -> int:
        change = [0] * (self.step + 2)
        for first, last, size in self._lives:
            change[first] += size
            change[last + 1] -= size
        peak = now = 0
        for step in change:
            now += step
            peak = max(peak, now)
        return peak


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
