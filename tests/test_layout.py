"""The shape of the project: packages, import direction, what an import loads."""

import ast
import re
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
    "strategies": {"strategies", "evaluator", "results", "search_space"},
    "evaluator": {"evaluator", "results", "search_space"},
}
DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml"}  # by import name


def test_every_package_on_disk_is_in_the_wheel():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    on_disk = {"attnas"}
    for room in ROOMS:
        for init in (ROOT / room).rglob("__init__.py"):
            on_disk.add(".".join(("attnas", *init.parent.relative_to(ROOT).parts)))
    for init in (ROOT / "attnas").rglob("__init__.py"):
        on_disk.add(".".join(init.parent.relative_to(ROOT).parts))
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
            if parts[1] not in ("search_space", room):
                assert len(parts) == 2, f"{path} imports the insides of a room: {name}"


def imported(path):
    """Absolute names of the modules that a file imports from attnas."""
    package = ("attnas", *path.parent.relative_to(ROOT).parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            yield ".".join((*base, node.module)) if node.module else ".".join(base)


def test_what_the_code_imports_is_declared_and_the_reverse():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    core = distributions(project["dependencies"])
    extras = distributions(
        line
        for name, lines in project["optional-dependencies"].items()
        if name != "dev"
        for line in lines
    )
    used = set()
    for folder in ("attnas", *ROOMS):
        for path in (ROOT / folder).rglob("*.py"):
            for name, lazy in third_party(ast.parse(path.read_text())):
                distribution = DISTRIBUTIONS.get(name, name)
                used.add(distribution)
                allowed = core | extras if lazy else core
                assert distribution in allowed, f"{path} imports {name}, lazily: {lazy}"
    assert core - used == set(), "declared, but imported nowhere"


def distributions(requirements):
    """Names without extras and versions."""
    return {re.split(r"[\[<>=!~; ]", line)[0].lower() for line in requirements}


def third_party(node, lazy=False):
    """Top-level names of the imported packages that are neither ours nor Python's own.

    With each, whether the import is inside a function.
    """
    for child in ast.iter_child_nodes(node):
        names = []
        if isinstance(child, ast.Import):
            names = [alias.name for alias in child.names]
        elif isinstance(child, ast.ImportFrom) and not child.level:
            names = [child.module]
        for name in names:
            first = name.split(".")[0]
            if first != "attnas" and first not in sys.stdlib_module_names:
                yield first, lazy
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from third_party(child, lazy or inside)


def test_the_public_names_are_these_and_all_load():
    assert attnas.__all__ == [
        "Architecture",
        "AttnasError",
        "InputError",
        "Observer",
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
