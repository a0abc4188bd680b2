"""The source of functions and classes with what they use, as one module."""

import ast

import pytest

from attnas.core import InputError, import_module
from attnas.search_space import BACKBONES, BLOCKS
from attnas.search_space.blocks.squeeze_excite import SqueezeExcite
from attnas.search_space.source_code import SourceCode, called


def run(code):
    namespace = {}
    exec(compile(f"from __future__ import annotations\n{code.text()}", "copied", "exec"), namespace)
    return namespace


@pytest.fixture
def own(own_module):
    def imported(source):
        return import_module(own_module(source), key="")

    return imported


def test_a_class_comes_with_all_that_it_uses_and_nothing_else():
    code = SourceCode()
    assert code.name_of(SqueezeExcite) == "SqueezeExcite"
    text = code.text()
    tree = ast.parse(text)
    defined = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    assert defined == {"hidden_width", "zero", "sigmoid_gate", "SqueezeExcite"}
    assert "register_block" not in text
    assert "def params" not in text  # what only a search asks for
    assert "sliceable" not in text
    assert "# Linear rather than 1x1 convolutions" in text  # comments stay
    assert SqueezeExcite.__doc__.splitlines()[0] in text
    made = run(code)["SqueezeExcite"](32, 4, identity_start=True)
    assert sum(p.numel() for p in made.parameters()) == SqueezeExcite.params(32, 8, 8, 4)


def test_all_blocks_and_backbones_together_import_nothing_of_ours():
    code = SourceCode()
    for found in BLOCKS:
        code.name_of(BLOCKS[found].module)
    for found in BACKBONES:
        if BACKBONES[found].__module__.startswith("attnas."):
            code.name_of(BACKBONES[found])
    tree = ast.parse(code.text())
    modules = {
        alias.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert {name.partition(".")[0] for name in modules} <= {
        "torch", "math", "typing", "collections", "dataclasses",
    }  # fmt: skip
    names = [n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    assert len(names) == len(set(names))
    run(code)


def test_two_things_of_one_name_are_told_apart(own):
    one = own("""
        SCALE = 2

        def _scaled(x):
            return SCALE * x

        def first(x):
            return _scaled(x) + 1
    """)
    other = own("""
        SCALE = 3

        def _scaled(x):
            scaled = SCALE * x
            return scaled

        def second(x):
            return _scaled(x=_scaled(x))
    """)
    code = SourceCode()
    names = code.name_of(one.first), code.name_of(other.second)
    copied = run(code)
    assert copied[names[0]](5) == 11
    assert copied[names[1]](5) == 45


def test_a_constant_and_a_base_class_stand_before_what_uses_them(own):
    module = own("""
        def make():
            return Derived()

        A, B = 1, 2

        class Derived(object):
            value = A + LAST if False else A + B

            def size(self, of=B):
                return of
    """)
    code = SourceCode()
    name = code.name_of(module.make)
    made = run(code)[name]()
    assert (made.value, made.size()) == (3, 2)
    assert code.text().count("A, B = 1, 2") == 1


def test_what_another_library_gives_is_imported(own):
    module = own("""
        import os.path
        from json import dumps as written

        def shown(x):
            return written(x) + os.path.sep
    """)
    code = SourceCode()
    code.name_of(module.shown)
    assert "from json import dumps as written\nimport os.path" in code.text() or (
        "import os.path\nfrom json import dumps as written" in code.text()
    )
    assert run(code)["shown"]([1]) == "[1]/"


def test_what_is_not_at_the_top_of_a_module_has_no_source(own):
    module = own("""
        def outer():
            def inner():
                return 1
            return inner
    """)
    with pytest.raises(InputError, match=r"inner' cannot be copied as source: define it at the"):
        SourceCode().name_of(module.outer())


def test_an_import_under_a_name_that_is_taken_has_another():
    code = SourceCode(reserved=("loads",))
    assert code.imported("json", "dumps") == code.imported("json", "dumps") == "dumps"
    assert code.imported("pickle", "dumps") == "dumps_pickle"
    assert code.imported("json", "loads") == "loads_json"
    found = run(code)
    assert found["dumps_pickle"](1) != found["dumps"](1) == "1"
    assert found["loads_json"]("2") == 2


def test_calls_are_written_with_plain_values():
    assert called("f", (1, "a"), {"b": (1.5, None)}) == "f(1, 'a', b=(1.5, None))"
    assert called("f", (), {"a-b": 1, "c": 2}) == "f(c=2, **{'a-b': 1})"
    assert called("f", (), {"class": 1}) == "f(**{'class': 1})"
