"""The shape of the project: packages, import direction, what an import loads."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

import attnas

ROOT = Path(__file__).parent.parent
ROOMS = ("core", "search_space", "strategies", "evaluator", "results")
MAY_IMPORT = {
    "core": set(),
    "search_space": {"core"},
    "strategies": {"search_space", "core"},
    "evaluator": {"search_space", "core"},
    "results": {"search_space", "core"},
    "attnas": set(ROOMS),
}
MAY_NAME = {"core": {"search_space"}}  # in annotations alone: trials are of architectures
DISTRIBUTIONS = {  # by import name
    "PIL": "pillow",
    "lazy_loader": "lazy-loader",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


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


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_rooms_import_in_one_direction_and_only_public_names(room):
    """`from attnas.core import X`, and what is not public in a room is that room's alone."""
    for path in (ROOT / room).rglob("*.py"):
        for imported in imports(path):
            if imported.room == room:
                continue
            where = f"{path.relative_to(ROOT)} imports {imported}"
            allowed = MAY_IMPORT[room] | (MAY_NAME.get(room, set()) if imported.typing else set())
            assert imported.room in allowed, where
            assert imported.module == f"attnas.{imported.room}", f"{where}: the insides of a room"
            assert imported.names, f"{where}: name what is needed"
            hidden = set(imported.names) - public_names(imported.room)
            assert not hidden, f"{where}: {hidden} is not public there"


@pytest.mark.parametrize("room", ROOMS)
def test_the_public_names_of_a_room_are_its_own_and_all_load(room):
    module = importlib.import_module(f"attnas.{room}")
    assert set(module.__all__) == public_names(room)
    for name in module.__all__:
        assert getattr(module, name) is not None
    for imported in imports(ROOT / room / "__init__.pyi"):
        assert imported.room == room, f"{room} gives what is of {imported}"


@dataclass(frozen=True)
class Imported:
    """An import of one of our modules; `typing`: for annotations alone."""

    module: str
    names: tuple[str, ...]
    typing: bool

    def __str__(self):
        return f"{', '.join(self.names) or 'all'} of {self.module}"

    @property
    def room(self):
        """The room that the module is in; "attnas" for what is in none."""
        inner = self.module.split(".")[1:2]
        return inner[0] if inner and inner[0] in ROOMS else "attnas"


def imports(path):
    """What a file imports of attnas, by absolute names, also inside functions."""
    parts = path.parent.relative_to(ROOT).parts
    package = parts if parts[0] == "attnas" else ("attnas", *parts)
    tree = ast.parse(path.read_text())
    for_typing = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING")
        for statement in block.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        typing = id(node) in for_typing
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "attnas":
                    yield Imported(alias.name, (), typing)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *filter(None, [node.module])))
            if module.split(".")[0] == "attnas":
                yield Imported(module, tuple(alias.name for alias in node.names), typing)


def public_names(room):
    """What a room's stub gives."""
    tree = ast.parse((ROOT / room / "__init__.pyi").read_text())
    return {alias.asname for node in tree.body for alias in node.names}  # type: ignore[attr-defined]


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
        "confirm",
        "hand_over",
        "load_run",
        "register_block",
        "search",
    ]
    assert all(callable(getattr(attnas, name)) for name in attnas.__all__)
    assert dir(attnas) == sorted(attnas.__all__)
    with pytest.raises(AttributeError, match="No attnas attribute serach"):
        attnas.serach  # noqa: B018


@pytest.mark.parametrize(
    "code",
    [
        "import attnas",
        "import attnas.core as c; [getattr(c, name) for name in c.__all__]",
        "from attnas.entry import run_command; run_command(['--help'])",
        "from attnas.entry import run_command; run_command(['search', '--help'])",
        "from attnas.strategies import STRATEGIES; STRATEGIES['random'], STRATEGIES['model']",
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
