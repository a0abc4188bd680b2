"""What the decisions of an architecture tell of their options, as a run keeps it.

To find it out a network is built; so it is stored with a trial, and whoever looks at the trial
later needs no torch.
"""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnas.search_space import Architecture


def details_of(architecture: "Architecture") -> dict[str, dict[str, Any]]:
    """`Decision.details` of each option by the decision's name, in plain types."""
    variant, start = architecture.variant, architecture.identity_start
    pairs = zip(architecture.decisions, architecture.options, strict=True)
    told = {d.name: dict(d.details(o, variant, identity_start=start)) for d, o in pairs}
    return dict(json.loads(json.dumps(told)))  # lists for tuples, as they are read again
