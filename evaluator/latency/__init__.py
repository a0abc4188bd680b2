"""Latency as an experiment: pairs with a reference, on fresh instances, in fresh processes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
