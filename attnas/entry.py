"""The entry of the command `attnas`: its exit code and its errors.

Exit codes: 0 done, 1 failed, 2 the input was wrong, 130 interrupted with the run saved.
"""

import logging
import sys
import traceback

import typer

from .command_line import app
from .encoding import show_similar
from .terminal import say

INTERRUPTED = 130
LONGEST = 2_000
"""Bytes of a message; what is longer is no message for people."""

# Newer versions of typer bring a click of their own, whose errors are not click's.
_ClickException = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def main() -> None:
    """Runs the command; the process ends with its exit code."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    sys.exit(run_command(arguments, debug=debug))


def run_command(arguments: list[str], *, debug: bool = False) -> int:
    """Runs the command with these arguments and returns its exit code.

    An error is one message on standard error; `debug` shows its traceback too, unless all
    that is wrong is the input.
    """
    _show_notes()
    show_similar()
    try:
        result = app(arguments, prog_name="attnas", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    except BrokenPipeError:
        return 0
    except SystemExit as error:  # of code that a config names: our own commands return
        return _told(f"code that the input names ended the program (SystemExit: {error}).", 1)
    except Exception as error:
        if debug and _has_a_place(error):
            traceback.print_exc()
        return _report(error)
    code = result if isinstance(result, int) else 0
    if code == INTERRUPTED:  # typer makes this code of a KeyboardInterrupt
        goes_on = bool({"search", "confirm", "train"} & set(arguments[:1]))
        kept = " What was finished is saved; the same command goes on." if goes_on else ""
        say(f"Interrupted.{kept}")
    return code


def _show_notes() -> None:
    """What our modules say as they work (images are decoded, say) goes to standard error."""
    logger = logging.getLogger("attnas")
    if not logger.handlers:
        logger.addHandler(_ToTerminal())
        logger.setLevel(logging.INFO)


class _ToTerminal(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


def _has_a_place(error: BaseException | None) -> bool:
    """Whether it, or what it came from, arose in code whose place is worth seeing."""
    if isinstance(error, _ClickException):
        return False
    from attnas.core import InputError

    while isinstance(error, InputError):
        error = error.__cause__
    return error is not None


def _report(error: Exception) -> int:
    """Prints the error for people; the exit code."""
    if isinstance(error, _ClickException):  # before torch is loaded, with our errors
        error.show()  # type: ignore[attr-defined]
        return error.exit_code  # type: ignore[attr-defined]
    from attnas.core import AttnasError

    if isinstance(error, AttnasError):
        return _told(str(error), error.exit_code)
    if isinstance(error, OSError):
        return _told(f"{error.filename or 'file system'}: {error.strerror or error}.", 1)
    said = f"internal error: {type(error).__name__}: {error}."
    return _told(f"{_bounded(said)} --debug shows the traceback.", 1)


def _told(message: str, exit_code: int) -> int:
    """Says what is wrong, within bounds and without passwords; the exit code."""
    from attnas.core import without_passwords

    say(f"attnas: {_bounded(without_passwords(message))}")
    return exit_code


def _bounded(message: str) -> str:
    given = message.encode(errors="replace")
    if len(given) <= LONGEST:
        return message
    head, tail = given[: LONGEST - 400], given[-300:]
    return f"{head.decode(errors='ignore')} ... {tail.decode(errors='ignore')}"
