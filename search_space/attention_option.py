"""An option of an attention decision: a block with its ratio at a placement, or none, or keep."""

import re
from dataclasses import dataclass
from functools import cache

from attnas.core import InputError

_NAME = "[a-z][a-z0-9_]*"
_TEXT = re.compile(rf"(?P<block>{_NAME})(?::r(?P<ratio>[0-9]+))?(?:@(?P<placement>{_NAME}))?")


@dataclass(frozen=True)
class AttentionOption:
    """(block, ratio, placement), written `se:r8@residual`, `eca@post`, `none` or `keep`.

    `ratio` is None for blocks that know no ratio; `placement` is None for `none`, no attention,
    and `keep`, the attention that the network has already.
    """

    block: str
    ratio: int | None = None
    placement: str | None = None

    def __str__(self) -> str:
        ratio = "" if self.ratio is None else f":r{self.ratio}"
        placement = "" if self.placement is None else f"@{self.placement}"
        return f"{self.block}{ratio}{placement}"

    @classmethod
    def parse(cls, text: str) -> "AttentionOption":
        """Reads what `str` writes; whether block and ratio exist is not looked at.

        Raises:
            InputError: the text is not such an option.
        """
        return _parsed(str(text).strip())


@cache
def _parsed(text: str) -> AttentionOption:
    found = _TEXT.fullmatch(text)
    if not found:
        raise InputError(
            f"cannot read the option '{text}'. Write 'none', 'eca@post' or 'se:r8@residual'."
        )
    block, ratio, placement = found.group("block", "ratio", "placement")
    for bare in (NONE, KEEP):
        if block == bare.block:
            return bare
    if placement is None:
        raise InputError(f"the option '{text}' lacks a placement. Write '{text}@residual'.")
    return AttentionOption(block, None if ratio is None else int(ratio), placement)


NONE = AttentionOption("none")
KEEP = AttentionOption("keep")
