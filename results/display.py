"""How results show themselves in Python: as text in a console, as HTML in a notebook."""

import io
from abc import ABC, abstractmethod

from rich.console import Console, RenderableType

WIDTH = 110  # columns


class Shown(ABC):
    """What shows itself by a table of rich: in a console as text, in a notebook as HTML."""

    def __repr__(self) -> str:
        return as_text(self._shown())

    def _repr_html_(self) -> str:
        return as_html(self._shown())

    @abstractmethod
    def _shown(self) -> RenderableType: ...


def as_text(shown: RenderableType) -> str:
    """What the command line would print, without colours, in `WIDTH` columns."""
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(shown)
    return "\n".join(line.rstrip() for line in captured.get().rstrip().splitlines())


def as_html(shown: RenderableType) -> str:
    """The same as preformatted HTML, with its weights and colours."""
    console = Console(
        file=io.StringIO(), width=WIDTH, record=True, force_jupyter=False, legacy_windows=False
    )
    console.print(shown)
    return console.export_html(
        inline_styles=True, code_format='<pre style="line-height: 1.2">{code}</pre>'
    )
