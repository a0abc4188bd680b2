"""The shape of the project: packages, import direction, what an import loads."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import attnas

ROOT = Path(__file__).parent.parent
ROOMS = ("search_space", "strategies", "evaluator", "results")
MAY_IMPORT = {
    "search_space": {"search_space"},
    "results": {"results", "search_space"},
    "strategies": {"strategies", "results", "search_space"},
    "evaluator": {"evaluator", "results", "search_space"},
}


def test_every_package_on_disk_is_in_the_wheel():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    on_disk = {"attnas"}
    for room in ROOMS:
        for init in (ROOT / room).rglob("__init__.py"):
            on_disk.add(".".join(("attnas", *init.parent.relative_to(ROOT).parts)))
    assert set(settings["packages"]) == on_disk
    assert settings["package-dir"] == {"attnas": "attnas"} | {f"attnas.{r}": r for r in ROOMS}


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_in_one_direction(room):
    for path in (ROOT / room).rglob("*.py"):
        for name in imported(path):
            parts = name.split(".")
            if parts[0] != "attnas":
                continue
            assert len(parts) > 1, f"{path} imports {name}"
            assert parts[1] in MAY_IMPORT[room], f"{path} imports {name}"
            if parts[1] == "results" and room != "results":
                assert len(parts) == 2, f"{path} imports the insides of results: {name}"


def imported(path):
    """Absolute names of the modules that a file imports from attnas."""
    package = ("attnas", *path.parent.relative_to(ROOT).parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            yield ".".join((*base, node.module)) if node.module else ".".join(base)


def test_the_public_names_are_these_and_all_load():
    assert attnas.__all__ == [
        "Architecture",
        "AttnasError",
        "Run",
        "SearchSpace",
        "build",
        "load_run",
        "register_block",
        "search",
    ]
    assert all(callable(getattr(attnas, name)) for name in attnas.__all__)
    assert dir(attnas) == sorted(attnas.__all__)
    with pytest.raises(AttributeError, match="module 'attnas' has no attribute 'serach'"):
        attnas.serach  # noqa: B018


@pytest.mark.parametrize(
    "code",
    [
        "import attnas",
        "from attnas.entry import run_command; run_command(['--help'])",
        "from attnas.entry import run_command; run_command(['search', '--help'])",
    ],
)
def test_import_and_help_load_nothing_heavy(code):
    check = "import sys; print([n for n in ('torch', 'ray', 'nni', 'optuna') if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{check}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_no_file_is_too_long_to_read():
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ("attnas", *ROOMS)
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 400
    }
    assert long == {}
