"""OptunaHub's samplers: with OptunaHub where it is installed, and with a stub of its loader."""

import importlib
import sys

import pytest

from attnas.core import AttnasError, InputError
from attnas.strategies import borrowed_strategies

STUB = """
import importlib.util, sys
calls = []
def load_local_module(package, *, registry_root="/"):
    name = "optunahub_registry.package." + package.replace("/", ".")
    spec = importlib.util.spec_from_file_location(name, f"{registry_root}/{package}/__init__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
def load_module(package, *, ref="main"):
    calls.append((package, ref))
    raise OSError("Cmd('git') failed\\n  stderr: 'fatal: could not resolve github.com'")
"""
PACKAGES = {
    "mine": "from optuna.samplers import RandomSampler, TPESampler\n"
    "class Mine(RandomSampler): 'Mine.'\n",
    "two": "from optuna.samplers import NSGAIISampler, RandomSampler\n"
    "__all__ = ['NSGAIISampler', 'RandomSampler', 'number']\nnumber = 2\n",
    "none": "number = 0\n",
    "needy": "import absent_package\n",
}


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A folder laid out as OptunaHub's registry, and a stub of OptunaHub that can load it."""
    for name, content in PACKAGES.items():
        (tmp_path / "samplers" / name).mkdir(parents=True)
        (tmp_path / "samplers" / name / "__init__.py").write_text(content)
    (tmp_path / "optunahub.py").write_text(STUB)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "optunahub", None)
    del sys.modules["optunahub"]  # it is put back as it was in the end
    return tmp_path


@pytest.mark.parametrize("real", [False, True], ids=["stub", "OptunaHub"])
def test_a_package_with_one_sampler_is_a_strategy_by_its_name(simulation, registry, real):
    if real:
        (registry / "optunahub.py").unlink()
        importlib.invalidate_caches()
        pytest.importorskip("optunahub")
    space = simulation.space_of(5, 6, 7)
    strategy = simulation.make("optunahub:mine", space, registry_root=str(registry))
    of_optuna = simulation.make("optuna:RandomSampler", space)
    assert strategy.sampler.__name__ == "Mine"
    assert simulation.simulate(strategy, 20) == simulation.simulate(of_optuna, 20)


def test_of_several_samplers_one_is_named_and_gets_its_settings(simulation, registry):
    settings = {"registry_root": str(registry), "population_size": 9}
    strategy = simulation.make("optunahub:two:NSGAIISampler", simulation.space_of(2, 3), **settings)
    assert strategy.sampler.__name__ == "NSGAIISampler"
    assert strategy.settings == {"population_size": 9}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (
            "two",
            "strategy.name: 'two' has several samplers. Write one of "
            "'optunahub:two:NSGAIISampler', 'optunahub:two:RandomSampler'.",
        ),
        (
            "two:NSGAIIISampler",
            "strategy.name: unknown sampler of two 'NSGAIIISampler'. Did you mean 'NSGAIISampler'?",
        ),
        ("none", "strategy.name: 'none' has no sampler."),
    ],
)
def test_a_package_without_the_one_sampler_is_refused(simulation, registry, name, problem):
    with pytest.raises(InputError) as caught:
        simulation.make(f"optunahub:{name}", simulation.space_of(2, 3), registry_root=str(registry))
    assert str(caught.value) == problem


def test_what_cannot_be_had_is_named_with_what_it_takes(simulation, registry, monkeypatch):
    def said(**places):
        with pytest.raises(AttnasError) as caught:
            simulation.make("optunahub:needy", simulation.space_of(2, 3), **places)
        return str(caught.value)

    assert said(registry_root=str(registry)).startswith(
        "cannot import OptunaHub's samplers/needy: No module named 'absent_package'. It needs"
    )
    assert said(ref="v1").startswith(
        "cannot load OptunaHub's samplers/needy: OSError: stderr: 'fatal: could not resolve "
        "github.com'. It is fetched from GitHub when it is used first"
    )
    assert sys.modules["optunahub"].calls == [("samplers/needy", "v1")]
    assert said(ref="v1", registry_root=str(registry)).startswith("strategy.ref: is of the")
    monkeypatch.setitem(sys.modules, "optunahub", None)
    assert said() == (
        "samplers/needy needs OptunaHub, which is not installed: pip install 'attnas[optunahub]'."
    )


def test_the_listing_names_the_family_without_loading_it():
    assert "optunahub:PACKAGE" in borrowed_strategies()
