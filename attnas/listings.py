"""What there is: blocks, strategies and devices, as rows of a table."""

from typing import Any

from attnas.core import AttnasError
from attnas.evaluator import DEVICES, device
from attnas.search_space import BLOCKS
from attnas.strategies import STRATEGIES, borrowed_strategies


def block_rows() -> list[dict[str, Any]]:
    """One row a block: its name, kind, ratios and what it computes."""
    rows: list[dict[str, Any]] = [
        {"block": "none", "kind": "", "ratios": "", "params_at_64": 0, "what": "no attention"}
    ]
    for name, block in BLOCKS.items():
        ratio = 16 if 16 in block.ratios else block.ratios[-1] if block.ratios else None
        rows.append(
            {
                "block": name,
                "kind": block.kind,
                "ratios": ", ".join(map(str, block.ratios)),
                "params_at_64": block.params(64, 8, 8, ratio),
                "what": _first_line(block.module.__doc__),
            }
        )
    return rows


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
