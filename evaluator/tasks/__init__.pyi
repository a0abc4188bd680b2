from .task import TASKS as TASKS
from .task import Scored as Scored
from .task import Scorer as Scorer
from .task import Task as Task
from .task import make_task as make_task
from .task import register_task as register_task
