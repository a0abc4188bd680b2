"""What of a config may not change when a run goes on."""

import json
from collections.abc import Mapping
from typing import Any

from attnas.core import to_json

from .rows import flatten

_MAY_CHANGE = ("budget", "engine", "name")  # `data.path` too


def config_difference(
    then: Mapping[str, Any], now: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """What differs between two configs: by dotted key, then and now.

    What may change when a run goes on is left out: budget, engine, name. An absent key is the
    same as null.
    """
    mine, other = flatten(json.loads(to_json(then))), flatten(json.loads(to_json(now)))
    return {
        key: (mine.get(key), other.get(key))
        for key in sorted(mine.keys() | other.keys())
        if mine.get(key) != other.get(key)
        and key.split(".")[0] not in _MAY_CHANGE
        and key != "data.path"
    }
