from .argument import Argument as Argument
from .attention import Attention as Attention
from .decision import DECISIONS as DECISIONS
from .decision import Decision as Decision
from .decision import decision_from_dict as decision_from_dict
from .decision import register_decision as register_decision
from .depth import Depth as Depth
