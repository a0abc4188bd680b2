"""Output to a terminal or pipe that cannot show every character."""

import codecs
import sys
import unicodedata

_IN_ASCII = {"±": "+-", "×": "x", "≤": "<=", "≥": ">=", "–": "-", "—": "-", "…": "...", "→": "->"}
_ERRORS = "attnas-similar"


def show_similar() -> None:
    """From now on what an output's encoding lacks is written as what is most like it."""
    codecs.register_error(_ERRORS, _similar)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None and stream.errors == "strict":
            reconfigure(errors=_ERRORS)


def _similar(error: UnicodeError) -> tuple[str, int]:
    """What `codecs` asks for: the text instead of what cannot be encoded, and where it ends."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(map(_in_ascii, text)), error.end


def _in_ascii(character: str) -> str:
    if character in _IN_ASCII:
        return _IN_ASCII[character]
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or "?"
