"""A run's constraints as figures."""

import re
from typing import TYPE_CHECKING

from .rows import plain_metrics

if TYPE_CHECKING:
    from .run import Run

_BOUND = re.compile(r"(?P<op><=|>=) *(?P<number>[0-9.eE+-]+)(?P<relative>x?)")


def bounds(run: "Run") -> dict[str, float]:
    """The run's constraints by metric, those relative to the plain backbone resolved.

    A relative one is left out while the plain backbone's figure is not known.
    """
    plain = plain_metrics(run)
    found = {}
    for name, text in run.facts["constraints"].items():
        matched = _BOUND.fullmatch(str(text).strip())
        if matched is None or (matched["relative"] and name not in plain):
            continue
        found[name] = float(matched["number"]) * (plain[name] if matched["relative"] else 1.0)
    return found
