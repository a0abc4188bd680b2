"""The words that all rooms share: metrics, trials, errors, registries. No torch, and no room."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
