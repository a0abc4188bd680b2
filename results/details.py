"""What the decisions of an architecture tell of their options, as a run keeps it.

To find it out a network is built; so it is stored with a trial, and whoever looks at the trial
later needs no torch.
"""

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnas.search_space import Architecture, Backbone, Decision


def details_of(architecture: "Architecture") -> dict[str, dict[str, Any]]:
    """`Decision.details` of each option by the decision's name, in plain types."""
    variant, start = architecture.variant, architecture.identity_start
    pairs = zip(architecture.decisions, architecture.options, strict=True)
    return {d.name: json.loads(_told(d, option, variant, start)) for d, option in pairs}


@lru_cache(maxsize=4096)
def _told(decision: "Decision", option: str, variant: "Backbone", identity_start: bool) -> str:
    told = dict(decision.details(option, variant, identity_start=identity_start))
    return json.dumps(told)  # lists for tuples, as they are read again
