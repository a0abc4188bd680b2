"""What there is of strategies and devices, as rows of a table (blocks: `block_listing`)."""

from typing import Any

from attnas.core import AttnasError
from attnas.evaluator import DEVICES, device
from attnas.strategies import STRATEGIES, borrowed_strategies


def strategy_rows() -> list[dict[str, Any]]:
    """One row a strategy, ours and then those of other libraries: its name and what it does."""
    own = {name: STRATEGIES.summary(name) for name in STRATEGIES}
    every = {**own, **borrowed_strategies()}
    return [{"strategy": name, "what": what} for name, what in every.items()]


def device_rows() -> list[dict[str, Any]]:
    """One row a device: its name, whether it can be used here, and what it is."""
    rows = []
    for name, kind in DEVICES.items():
        try:
            device(name)
            usable = "yes"
        except AttnasError as error:
            usable = str(error).removeprefix("device.name: ")
        rows.append({"device": name, "usable_here": usable, "what": _first_line(kind.__doc__)})
    return rows


def _first_line(doc: str | None) -> str:
    return (doc or "").strip().split("\n")[0]
