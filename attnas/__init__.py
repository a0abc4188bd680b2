"""Searches for the attention that a network should have, under measured hardware constraints.

>>> import attnas
>>> run = attnas.search("cpu.yaml")                # doctest: +SKIP
>>> run.best(max={"latency_ms": 5})                # doctest: +SKIP
>>> network = attnas.build("runs/cpu/best.yaml")   # doctest: +SKIP
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
