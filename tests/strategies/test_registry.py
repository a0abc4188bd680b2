import re
import subprocess
import sys
from dataclasses import dataclass

import pytest

from attnas.core import History, InputError
from attnas.strategies import STRATEGIES, Strategy, make_strategy, register_strategy


def message(call, *arguments, **settings):
    with pytest.raises(InputError) as caught:
        call(*arguments, **settings)
    return str(caught.value)


def test_the_list_has_every_strategy_with_one_line_on_it():
    listed = list(STRATEGIES)
    assert {"evolution", "grid", "local", "model", "nsga2", "random", "tpe"} <= set(listed)
    assert listed == sorted(listed)
    assert all(re.fullmatch(r"[A-Z].{20,100}\.", STRATEGIES.summary(name)) for name in listed)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_keeps_the_protocol_and_cites_a_source(simulation, name):
    strategy = simulation.make(name, simulation.space_of(2, 2))
    assert isinstance(strategy, Strategy)
    assert "Source:" in type(strategy).__doc__ or name == "grid"


def test_an_unknown_strategy_is_refused_with_the_nearest_named(simulation):
    assert message(simulation.make, "nsga3", simulation.space_of(2)) == (
        "strategy.name: unknown strategy 'nsga3'. Did you mean 'nsga2'? "
        "`attnas strategies` lists all."
    )


def test_an_unknown_setting_is_refused_with_the_nearest_named(simulation):
    assert message(simulation.make, "nsga2", simulation.space_of(2), populaton=5) == (
        "strategy.populaton: unknown setting 'populaton'. Did you mean 'population'?"
    )
    assert message(simulation.make, "random", simulation.space_of(2), population=5) == (
        "strategy.population: unknown setting 'population': 'random' has none."
    )


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            {"population": 1},
            "strategy.population: cannot be 1. Write a whole number of 2 or more; "
            "the default is 10.",
        ),
        (
            {"population": "16"},
            "strategy.population: cannot be '16'. Write a whole number of 2 or more; "
            "the default is 10.",
        ),
        (
            {"population": True},
            "strategy.population: cannot be True. Write a whole number of 2 or more; "
            "the default is 10.",
        ),
        (
            {"crossover": float("nan")},
            "strategy.crossover: cannot be nan. Write a number from 0 to 1; the default is 0.9.",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_what_would_be_right(simulation, settings, problem):
    space = simulation.space_of(2)
    assert message(simulation.make, "nsga2", space, **settings) == problem


def test_a_tournament_larger_than_the_population_is_refused(simulation):
    space = simulation.space_of(2)
    assert message(simulation.make, "evolution", space, population=4, tournament=5) == (
        "strategy.tournament: cannot be 5, more than the population. Write at most 4."
    )


def test_a_whole_number_does_for_a_fraction(simulation):
    assert simulation.make("nsga2", simulation.space_of(2), crossover=1).crossover == 1


OWN = """
class First:
    def __init__(self, space, objectives, epochs, seed, step=1):
        self.space, self.objectives, self.epochs, self.seed = space, objectives, epochs, seed
        self.step = step

    def propose(self, history):
        return self.space.at(self.step * history.next_number)


number = 3
nothing = print


class Bare:
    def __init__(self, space):
        self.space = space

    def propose(self, history):
        return None
"""


def test_a_class_of_ones_own_is_named_by_module_and_class(simulation, tmp_path, monkeypatch):
    (tmp_path / "own_searcher.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    space = simulation.space_of(3, 3)
    strategy = make_strategy(
        "own_searcher:First", space=space, objectives=[], epochs=2, seed=0, step=2
    )
    assert strategy.propose(History((), (), 2)) == space.at(4)
    common = {"space": space, "objectives": [], "epochs": 2, "seed": 0}
    assert message(make_strategy, "own_searcher:First", **common, steps=3) == (
        "strategy.steps: unknown setting 'steps'. Did you mean 'step'?"
    )
    assert message(make_strategy, "own_searcher:Frist", **common) == (
        "strategy.name: 'own_searcher' has no class 'Frist'. Did you mean 'First'?"
    )
    assert message(make_strategy, "own_searcher:nothing", **common) == (
        "strategy.name: 'own_searcher:nothing' is no strategy: it must be a class with a "
        "method `propose(history)`."
    )
    assert message(make_strategy, "own_searcher:number", **common) == (
        "strategy.name: 'own_searcher' has no class 'number'."
    )
    assert message(make_strategy, "own_searcher:Bare", **common) == (
        "strategy.name: 'own_searcher:Bare' does not take objectives, epochs, seed. "
        "A strategy takes space, objectives, epochs, seed and its own settings."
    )
    assert message(make_strategy, "no_such_module:Class", **common) == (
        "strategy.name: cannot import 'no_such_module' of 'no_such_module:Class': "
        "ModuleNotFoundError: No module named 'no_such_module'. It must be installed or lie in "
        "the working directory."
    )


def modules_after(code):
    """The names of the modules that a new process has loaded."""
    code += "; import sys; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ended.stdout.split())


def test_random_search_loads_little_of_ours_and_no_large_library():
    """What its module reads of the package is what one must know to read it."""
    loaded = modules_after("import attnas.strategies.random_search")
    ours = sorted(name for name in loaded if name.split(".")[0] == "attnas")
    assert "attnas.strategies.random_search" in ours
    assert len(ours) <= 15, ours
    assert loaded.isdisjoint({"torch", "optuna", "pandas", "ray", "nni"})


def test_a_strategy_is_made_by_name_without_loading_the_others():
    loaded = modules_after(
        "from attnas.strategies import make_strategy; "
        "make_strategy('nsga2', space=None, objectives=(), epochs=1, seed=0)"
    )
    assert "attnas.strategies.nsga2" in loaded
    assert loaded.isdisjoint({"torch", "optuna", "pandas", "ray", "nni"})
    others = {f"attnas.strategies.{name}" for name in ("evolution", "tpe", "darts", "oneshot")}
    assert loaded.isdisjoint(others)


def test_a_name_cannot_be_registered_twice():
    @dataclass(frozen=True)
    class Other:
        def propose(self, history):
            return None

    with pytest.raises(ValueError, match=r"^strategy 'random' is ") as caught:
        register_strategy("random")(Other)
    assert str(caught.value) == (
        "strategy 'random' is attnas.strategies.random_search.Random already; register "
        f"{Other.__module__}.{Other.__qualname__} under another name"
    )
    assert STRATEGIES.summary("random").startswith("Draws uniformly")


def test_a_class_that_proposes_nothing_cannot_be_registered():
    class Silent:
        pass

    with pytest.raises(ValueError, match=r"'silent': .*Silent needs a method `propose`"):
        register_strategy("silent")(Silent)
    assert "silent" not in STRATEGIES
