from .measurement import Latency as Latency
from .measurement import measure_latency as measure_latency
from .measurement import measure_reference as measure_reference
from .processes import NoFreshProcess as NoFreshProcess
from .processes import in_fresh_processes as in_fresh_processes
