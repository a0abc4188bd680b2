"""One block of each way to run: blocks of one class differ by sizes, or by truth values."""

from attnas.search_space import BLOCKS


def representatives() -> list[str]:
    """The first name of each class and set of settings that are truth values.

    Gather-excite of the whole map is another computation than that of a part of it.
    """
    found: dict[object, str] = {}
    for name, entry in BLOCKS.items():
        flags = tuple(pair for pair in entry.settings if isinstance(pair[1], bool))
        whole_map = dict(entry.settings).get("extent") == 0
        found.setdefault((entry.module, flags, whole_map), name)
    return sorted(found.values())
