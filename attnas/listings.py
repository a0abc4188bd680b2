"""What there is of strategies and devices, as rows of a table (blocks: `block_listing`)."""

from typing import Any

from attnas.evaluator import DEVICES, usable_here
from attnas.strategies import STRATEGIES, borrowed_strategies


def strategy_rows() -> list[dict[str, Any]]:
    """One row a strategy, ours and then those of other libraries: its name and what it does."""
    own = {name: STRATEGIES.summary(name) for name in STRATEGIES}
    every = {**own, **borrowed_strategies()}
    return [{"strategy": name, "what": what} for name, what in every.items()]


def device_rows() -> list[dict[str, Any]]:
    """One row a device: its name, whether it can be used here, and what it is."""
    return [
        {"device": name, "usable_here": usable_here(name), "what": DEVICES.summary(name)}
        for name in DEVICES
    ]
