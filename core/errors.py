"""Errors that a user can act on; shown as one line, without a traceback."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class AttnasError(Exception):
    """Something went wrong; the message says what to do about it. Exit code 1."""

    exit_code = 1


class InputError(AttnasError):
    """What the user wrote is wrong. Exit code 2.

    `key` is the dotted path of the offending entry ("search_space.blocks[1]");
    the loader that knows the file puts it in front of the message.
    """

    exit_code = 2

    def __init__(self, problem: str, *, key: str = "", file: str = "") -> None:
        self.problem, self.key, self.file = problem, key, file
        super().__init__(": ".join(part for part in (file, key, problem) if part))

    def inside(self, *, key: str = "", file: str = "") -> "InputError":
        """The same error with its place known better: `key` is put before the key."""
        dot = "." if key and self.key and not self.key.startswith("[") else ""
        return InputError(self.problem, key=f"{key}{dot}{self.key}", file=file or self.file)


def unknown(kind: str, name: str, known: Iterable[str], *, listing: str = "") -> InputError:
    """The error for a name that is not among the known ones, naming the nearest."""
    names = sorted(known)
    near = nearest(str(name), names)
    hint = f"Did you mean '{near}'?" if near else f"Known: {', '.join(names)}."
    more = f" `{listing}` lists all." if listing else ""
    return InputError(f"unknown {kind} '{name}'. {hint}{more}")


def nearest(name: str, names: Sequence[str]) -> str | None:
    """The name most like it, if one is near; an ending that all have (`Sampler`) tells nothing."""
    endings = (name[i:] for i in range(len(name) if len(names) > 1 else 0))
    ending = next((e for e in endings if all(n.endswith(e) for n in names)), "")
    bare = {n.removesuffix(ending): n for n in names}
    near = get_close_matches(name.removesuffix(ending), bare, n=1)
    return bare[near[0]] if near else None


def first_line(error: BaseException) -> str:
    """The first line of somebody else's error, its class if it says nothing."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
