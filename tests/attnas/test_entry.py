"""Exit codes, one-line errors, and tracebacks on request alone."""

import subprocess
import sys

import pytest
import typer

from attnas import entry
from attnas.core import AttnasError, InputError
from attnas.entry import main, run_command


@pytest.fixture
def raising(monkeypatch):
    """Makes every command raise."""

    def raising(error):
        def app(*_, **__):
            raise error

        monkeypatch.setattr(entry, "app", app)

    return raising


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (AttnasError("no more."), 1, "attnas: no more.\n"),
        (InputError("is missing.", key="data"), 2, "attnas: data: is missing.\n"),
        (OSError(28, "No space left on device", "out.csv"), 1,
         "attnas: out.csv: No space left on device.\n"),
        (OSError("broken"), 1, "attnas: file system: broken.\n"),
        (KeyError("x"), 1,
         "attnas: internal error: KeyError: 'x'. --debug shows the traceback.\n"),
        (BrokenPipeError(), 0, ""),
    ],
    ids=["attnas", "input", "os", "os without a file", "internal", "pipe"],
)  # fmt: skip
def test_an_error_is_one_line_with_its_exit_code(raising, capsys, error, code, said):
    raising(error)
    assert run_command(["pareto", "x"]) == code
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()], ids=["ctrl-c", "abort"])
@pytest.mark.parametrize("command", ["search", "confirm", "train", "report"])
def test_an_interrupt_is_130_and_says_what_goes_on(raising, capsys, command, error):
    raising(error)
    assert run_command([command, "x"]) == 130
    kept = " What was finished is saved; the same command goes on."
    expected = f"Interrupted.{kept if command != 'report' else ''}\n"
    assert capsys.readouterr().err == expected


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "traceback"),
    [
        (KeyError("x"), True),
        (AttnasError("no more."), True),
        (InputError("is missing.", key="data"), False),
        (caused(InputError("cannot import 'mine'."), ZeroDivisionError()), True),
        (caused(InputError("is missing.", key="data"), InputError("is missing.")), False),
    ],
    ids=["internal", "attnas", "input", "input for a reason", "input with its place"],
)
def test_debug_adds_the_traceback_unless_only_the_input_is_wrong(raising, capsys, error, traceback):
    raising(error)
    run_command(["pareto", "x"])
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    run_command(["pareto", "x"], debug=True)
    said = capsys.readouterr().err
    assert said.endswith(message)
    assert ("Traceback (most recent call last):" in said) == traceback == (said != message)


def test_wrong_usage_loads_no_torch_and_has_no_traceback():
    code = "import sys; from attnas.entry import run_command; "
    code += "print([run_command(a, debug=True) for a in ([], ['foo'], ['show', '--no'])]); "
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-2:] == ["[2, 2, 2]", "False"]
    assert "No such command 'foo'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("place", [0, 2], ids=["first", "last"])
def test_debug_may_stand_anywhere(monkeypatch, place):
    calls = []
    monkeypatch.setattr(
        entry, "run_command", lambda arguments, *, debug: calls.append((arguments, debug)) or 2
    )
    words = ["show", "replayed"]
    words.insert(place, "--debug")
    monkeypatch.setattr(sys, "argv", ["attnas", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert calls == [(["show", "replayed"], True)]


def test_a_command_that_is_done_ends_with_0(capsys):
    assert run_command(["--version"]) == 0
    assert capsys.readouterr().out.startswith("attnas ")
    assert run_command(["nosuch"]) == 2
    assert "No such command 'nosuch'" in capsys.readouterr().err


def test_the_process_ends_with_the_exit_code(tmp_path):
    command = [sys.executable, "-m", "attnas", "pareto", "nosuch"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "attnas: there is no run 'nosuch'. There is no run in runs.\n"
