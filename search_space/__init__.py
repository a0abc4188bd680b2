"""The search space: blocks, backbones, architectures, and how a network is built of them."""

from .architecture import Architecture
from .backbone import Backbone, Insertion, Site, Stage, Unit
from .blocks import Block, block, blocks, hidden_width, register_block
from .choice import NONE, Choice
from .errors import AttnasError, InputError, unknown
from .importing import import_module, import_own, import_plugins
from .space import SearchSpace

__all__ = [
    "NONE",
    "Architecture",
    "AttnasError",
    "Backbone",
    "Block",
    "Choice",
    "InputError",
    "Insertion",
    "SearchSpace",
    "Site",
    "Stage",
    "Unit",
    "block",
    "blocks",
    "hidden_width",
    "import_module",
    "import_own",
    "import_plugins",
    "register_block",
    "unknown",
]
