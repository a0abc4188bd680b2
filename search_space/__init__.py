"""The search space: blocks, decisions, backbones, architectures, and how a network is built."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
