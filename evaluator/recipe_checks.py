"""Whether a recipe fits the data, the task and the network, asked before anything is trained."""

import torch

from attnas.core import InputError
from attnas.search_space import Backbone

from .data import Data
from .fine_tuning import check_patterns
from .recipe import Recipe
from .tasks import Task
from .tasks.task import AveragesViews


def check_recipe(recipe: Recipe, data: Data, task: Task, backbone: Backbone) -> None:
    """Refuses what a recipe of the built-in training asks for in vain.

    Raises:
        InputError: RandAugment of other than colour images, or where targets are maps; two views
            of what is no image, or of a task that cannot average them; patterns that fit nothing
            or freeze all; with the key.
    """
    images = len(data.input_shape) == 3
    if recipe.augment == "randaugment":
        channels = data.input_shape[0]
        if not images or channels != 3 or data.train.inputs.dtype != torch.uint8:
            raise InputError(
                "'randaugment' is for 8-bit images of three colours. Write 'auto'.",
                key="training.augment",
            )
        if task.spatial:
            raise InputError(
                f"'randaugment' does not move the target maps of the task '{task.name}'. Write "
                "'flip_crop'.",
                key="training.augment",
            )
    if recipe.views > 1 and not (images and isinstance(task, AveragesViews)):
        what = f"the task '{task.name}' averages no predictions"
        what = what if images else "these are no images"
        raise InputError(f"{what}: only one view can be scored.", key="training.views")
    if recipe.freeze or recipe.learning_rate_scale:
        with torch.random.fork_rng(devices=[]):
            network = backbone.network()
        check_patterns(network, recipe.freeze, recipe.learning_rate_scale, key="training")
