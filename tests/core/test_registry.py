import importlib
import sys
from itertools import count
from textwrap import dedent

import pytest

from attnas.core import METRICS, InputError, Registry
from attnas.core.registry import declarations

numbers = count()

REGISTER = """
from attnas.core import Registry

THINGS = Registry("thing", package=__package__ + ".things", registrars=("register",),
                  listing="attnas things")

def register(name):
    def add(thing):
        THINGS.add(name, thing)
        return thing
    return add
"""
MODULES = {
    "round": """
        from ..register import register

        @register("ball")
        class Ball:
            '''It rolls.

            And more.
            '''

        @register("globe")
        def globe():
            '''A map.'''
        """,
    "flat": """
        from .. import register

        @register.register("plate")
        class Plate:
            pass

        @register.register("tray")
        class Tray:
            '''It carries.'''
        """,
    "broken": """
        from ..register import register

        raise RuntimeError("it was imported")

        @register("vase")
        class Vase:
            '''It breaks.'''
        """,
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The name of a package whose `room` has a register, and a folder `things` of modules."""
    name = f"own_top_{next(numbers)}"
    things = tmp_path / name / "room" / "things"
    things.mkdir(parents=True)
    for folder in (things, things.parent, things.parent.parent):
        (folder / "__init__.py").touch()
    (things.parent / "register.py").write_text(REGISTER)
    for module, source in MODULES.items():
        (things / f"{module}.py").write_text(dedent(source))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return name


@pytest.fixture
def things(package):
    return importlib.import_module(f"{package}.room.register").THINGS


def loaded(package):
    """The modules of the folder that were imported."""
    inside = f"{package}.room.things."
    return {name.removeprefix(inside) for name in sys.modules if name.startswith(inside)}


class Own:
    """Mine."""


def test_names_and_summaries_are_known_without_importing_any_module(things, package):
    assert list(things) == ["ball", "globe", "plate", "tray", "vase"]
    assert len(things) == 5
    assert "vase" in things
    assert "cup" not in things
    assert [things.summary(name) for name in things] == [
        "It rolls.",
        "A map.",
        "",
        "It carries.",
        "It breaks.",
    ]
    assert things.loaded() == []
    assert loaded(package) == set()


def test_a_thing_is_found_by_importing_its_module_alone(things, package):
    assert things["ball"].__name__ == "Ball"
    assert things["globe"].__name__ == "globe"
    assert loaded(package) == {"round"}
    assert things.loaded() == [things["ball"], things["globe"]]
    assert things["tray"].__name__ == "Tray"
    assert loaded(package) == {"round", "flat"}


def test_an_unknown_name_is_answered_with_the_nearest_and_imports_nothing(things, package):
    with pytest.raises(InputError) as caught:
        things["bal"]
    assert str(caught.value) == (
        "unknown thing 'bal'. Did you mean 'ball'? `attnas things` lists all."
    )
    assert str(things.unknown("?")) == (
        "unknown thing '?'. Known: ball, globe, plate, tray, vase. `attnas things` lists all."
    )
    assert loaded(package) == set()


def test_what_is_wrong_in_a_module_is_told_where_it_is_needed(things):
    with pytest.raises(RuntimeError, match="it was imported"):
        things["vase"]
    with pytest.raises(RuntimeError, match="it was imported"):
        things.items()


def test_items_loads_all(things, package):
    del things._declared["vase"]
    assert [name for name, _ in things.items()] == ["ball", "globe", "plate", "tray"]
    assert loaded(package) == {"round", "flat"}


def test_what_is_registered_from_elsewhere_is_found_beside_the_packages_own(things, package):
    things.add("cup", Own)
    assert list(things) == ["ball", "cup", "globe", "plate", "tray", "vase"]
    assert things["cup"] is Own
    assert things.summary("cup") == "Mine."
    assert loaded(package) == set()


def test_a_name_of_the_package_cannot_be_taken_though_its_module_was_not_imported(things, package):
    foreign = type("Ball", (), {"__module__": "elsewhere"})
    with pytest.raises(ValueError, match="thing") as caught:
        things.add("ball", foreign)
    assert str(caught.value) == (
        f"thing 'ball' is {package}.room.things.round.Ball already; register elsewhere.Ball "
        "under another name"
    )
    assert things["ball"] is not foreign


def test_a_name_is_given_to_one_thing_of_ones_own(things):
    things.add("cup", Own)
    with pytest.raises(ValueError, match="under another name"):
        things.add("cup", type("Own", (), {"__module__": "elsewhere"}))
    assert things["cup"] is Own


def test_a_module_that_is_imported_once_more_replaces_what_it_registered(things, package):
    before = things["ball"]
    importlib.reload(sys.modules[f"{package}.room.things.round"])
    assert things["ball"] is not before
    assert things["ball"].__qualname__ == before.__qualname__


def test_values_are_one_thing_if_they_are_equal():
    values = Registry("value", package="attnas.core", registrars=())
    values.add("one", (1, 2))
    assert values.summary("one") == ""
    values.add("one", (1, 2))
    with pytest.raises(ValueError, match=r"^value 'one' is registered already; take another name$"):
        values.add("one", (1, 3))
    with pytest.raises(ValueError, match=r"^value 'one' is registered already; take another name$"):
        values.add("one", Own)
    assert values["one"] == (1, 2)


def test_a_thing_may_stand_for_what_it_was_made_from(things):
    things.add("cup", {"made": Own}, defined=Own)
    assert things["cup"] == {"made": Own}
    assert things.summary("cup") == "Mine."
    things.add("cup", {"made anew": Own}, defined=Own)
    assert things["cup"] == {"made anew": Own}


def test_what_is_provided_is_taken_until_something_is_registered(things, package):
    things.provide("cup", "provided")
    assert "cup" in things
    assert "cup" in list(things)
    assert things["cup"] == "provided"
    assert things.loaded() == ["provided"]
    things.add("cup", Own)
    assert things["cup"] is Own
    assert things.loaded() == [Own]
    assert loaded(package) == set()


def test_what_is_provided_spares_the_import_until_that_happens_anyway(things, package):
    things.provide("ball", "provided")
    assert things["ball"] == "provided"
    assert loaded(package) == set()
    things["globe"]  # of the same module
    assert things["ball"].__name__ == "Ball"


def test_a_summary_of_what_is_not_registered_is_refused(things):
    things.provide("cup", Own)
    assert things.summary("cup") == "Mine."
    with pytest.raises(InputError, match=r"^unknown thing 'bal'"):
        things.summary("bal")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("@register('a')\nclass A:\n  '''One.\n\n  Two.'''", [("a", "One.")]),
        ("@register('b')\n@register('a', more=1)\ndef f(): pass", [("b", ""), ("a", "")]),
        ("@registry.register('a')\ndef f(): '''One.'''", [("a", "One.")]),
        ("register('a', better='max')", [("a", "")]),
        ("A = register('a')", [("a", "")]),
        ("@register(NAME)\nclass A: pass", []),
        ("@other('a')\nclass A: pass\nregister", []),
        ("@register\nclass A: pass", []),
        ("def inside():\n  register('a')", []),
        ("x = 1", []),
    ],
)
def test_names_are_read_from_calls_at_the_top_with_a_literal_name(source, expected):
    assert list(declarations(source, ("register",))) == expected


def test_every_name_that_is_read_is_registered_when_all_is_loaded():
    read = list(METRICS)
    assert [name for name, _ in METRICS.items()] == read
    assert sorted(metric.name for metric in METRICS.loaded()) == read
