"""What a network says of inputs, of one view or of an image and its mirror."""

from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor, nn

from .tasks import Task
from .tasks.task import AveragesViews


def predicted(
    network: nn.Module, inputs: Tensor, task: Task, views: int, context: AbstractContextManager[Any]
) -> Tensor:
    """The outputs for inputs (N, ...) as float64; `context` is what the passes run in.

    With two `views` the mean of what is predicted for images (N, C, H, W) and their mirrors.
    """
    with context:
        outputs = network(inputs).double()
        if views == 1:
            return outputs
        mirrored = network(inputs.flip(3)).double()
    assert isinstance(task, AveragesViews)
    return task.averaged([outputs, mirrored])
