"""What each traced operator costs, in multiply-adds and in activations.

fvcore's counts stand where it has one: a multiply-add is one; a convolution is counted
without its bias; batch norm is 2 an element at inference, other norms 5; interpolation and
adaptive average pooling as in its tables. What it leaves out costs here

- 1 per output element: arithmetic of two tensors, powers and roots, exponential, logarithm,
  sigmoid and its kin;
- 2 or 3 per output element: activation functions made of two or three such steps;
- 1 per input element: sum, mean, norm; 3: variance, softmax (three passes over the input);
- nothing: comparisons, as fvcore has it for ReLU, also moves, reshapes and integer arithmetic.
"""

from collections import Counter
from collections.abc import Callable
from math import prod
from typing import Any

from fvcore.nn import jit_handles

Handle = Callable[[list[Any], list[Any]], Any]  # inputs and outputs of a node of the trace

_PER_OUTPUT_ELEMENT = {
    1: "add sub rsub mul div pow square sqrt rsqrt reciprocal exp exp2 expm1 log log2 log1p "
    "sigmoid tanh erf sin cos hardsigmoid leaky_relu prelu log_sigmoid addcmul cumsum",
    2: "silu gelu softplus hardswish elu celu selu glu lerp addcdiv logaddexp",
    3: "mish",
}
_PER_INPUT_ELEMENT = {
    1: "sum mean prod norm linalg_vector_norm frobenius_norm",
    2: "logsumexp",
    3: "var std var_mean std_mean softmax log_softmax",
}
_FREE = (
    "abs neg sign hardtanh relu6 threshold clamp_min clamp_max max_pool1d max_pool2d "
    "adaptive_max_pool1d adaptive_max_pool2d max_pool2d_with_indices amax amin min maximum "
    "minimum argmax argmin where lt le ne logical_and logical_or logical_not sort topk argsort "
    "im2col col2im unfold unflatten pad reflection_pad2d replication_pad2d pixel_shuffle "
    "pixel_unshuffle channel_shuffle expand_as view_as reshape_as repeat repeat_interleave "
    "flip rot90 movedim swapaxes clone alias lift_fresh ones_like empty_like scalar_tensor "
    "feature_dropout alpha_dropout tile numpy_T diagonal tril triu index_select tensor_split "
    "floor_divide round ceil broadcast_to meshgrid new_ones new_zeros new_full"
)
FREE = tuple(f"aten::{name}{ending}" for name in _FREE.split() for ending in ("", "_"))


def counting() -> dict[str, Handle]:
    """A handle for each operator that costs something.

    It gives a Counter of "flops" and "activations". Where the operator is used in a way
    that its handle does not know, the Counter holds the operator's own name instead.
    """
    handles: dict[str, Handle] = {}
    for name, flops in _flops().items():
        active = name in _ACTIVE
        handles[f"aten::{name}"] = _combined(f"aten::{name}", flops, active)
        handles[f"aten::{name}_"] = _combined(f"aten::{name}_", flops, active)
    return handles


_ACTIVE = frozenset(("_convolution", "addmm", "mm", "bmm", "baddbmm", "einsum", "matmul", "linear"))


def _flops() -> dict[str, Handle]:
    found: dict[str, Handle] = {
        "_convolution": jit_handles.conv_flop_jit,
        "addmm": lambda inputs, outputs: _matrix_product(inputs[1:], outputs),
        "baddbmm": lambda inputs, outputs: _matrix_product(inputs[1:], outputs),
        "mm": _matrix_product,
        "bmm": _matrix_product,
        "matmul": _matrix_product,
        "linear": jit_handles.linear_flop_jit,
        "einsum": jit_handles.einsum_flop_jit,
        "scaled_dot_product_attention": _attention,
        "batch_norm": jit_handles.batchnorm_flop_jit,
        "group_norm": jit_handles.norm_flop_counter(2),
        "layer_norm": jit_handles.norm_flop_counter(2),
        "instance_norm": jit_handles.norm_flop_counter(1),
        "adaptive_avg_pool1d": jit_handles.elementwise_flop_counter(1, 0),
        "adaptive_avg_pool2d": jit_handles.elementwise_flop_counter(1, 0),
        "avg_pool1d": _average_pooling,
        "avg_pool2d": _average_pooling,
        "upsample_nearest2d": jit_handles.elementwise_flop_counter(0, 1),
        "upsample_bilinear2d": jit_handles.elementwise_flop_counter(0, 4),
        "upsample_bicubic2d": jit_handles.elementwise_flop_counter(0, 16),
        "grid_sampler": jit_handles.elementwise_flop_counter(0, 4),
    }
    for scale, names in _PER_OUTPUT_ELEMENT.items():
        found |= {name: _per_output_element(scale) for name in names.split()}
    for scale, names in _PER_INPUT_ELEMENT.items():
        found |= {name: _per_input_element(scale) for name in names.split()}
    return found


def _combined(name: str, flops: Handle, active: bool) -> Handle:
    def handle(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
        try:
            amount = flops(inputs, outputs)
        except (AssertionError, TypeError, IndexError, ValueError, NotImplementedError):
            return Counter({name: 1})  # the caller reports it as uncounted
        if isinstance(amount, Counter):
            amount = amount.total()
        activations = _elements(outputs[0]) if active else 0
        return Counter({"flops": int(amount), "activations": activations})

    return handle


def _per_output_element(scale: int) -> Handle:
    return lambda inputs, outputs: scale * _elements(outputs[0])


def _per_input_element(scale: int) -> Handle:
    return lambda inputs, outputs: scale * _elements(inputs[0])


def _matrix_product(inputs: list[Any], outputs: list[Any]) -> int:
    """Each output element sums over the first factor's last axis; batch axes broadcast."""
    return prod(jit_handles.get_shape(outputs[0])) * jit_handles.get_shape(inputs[0])[-1]


def _attention(inputs: list[Any], outputs: list[Any]) -> int:
    """q k^T, scaling and softmax (4 per weight), times v: (.., L, E), (.., S, E), (.., S, V).

    A mask of numbers, which is added to the weights, is one more of each.
    """
    query, key, value = (jit_handles.get_shape(x) for x in inputs[:3])
    weights = prod(query[:-1]) * key[-2]
    masked = len(inputs) > 3 and _elements(inputs[3]) > 0
    return weights * (query[-1] + 4 + masked + value[-1])


def _average_pooling(inputs: list[Any], outputs: list[Any]) -> int:
    sides = [side.toIValue() for side in inputs[1].node().inputs()]
    axes = len(jit_handles.get_shape(inputs[0])) - 2
    if len(sides) == 1:
        sides *= axes
    return _elements(outputs[0]) * prod(sides)


def _elements(value: Any) -> int:
    """Elements of a floating-point tensor of the trace; 0 for integers and sizes."""
    if not value.isCompleteTensor() or not value.type().dtype().is_floating_point:
        return 0
    return prod(jit_handles.get_shape(value))
