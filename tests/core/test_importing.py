import sys

import pytest

from attnas.core import InputError, import_module, import_own, import_plugins


@pytest.fixture
def own(tmp_path, monkeypatch):
    source = "FIGURE = 3\n\ndef make(): return 1\n\nclass Make: pass\n"
    (tmp_path / "own_importable.py").write_text(source)
    (tmp_path / "own_failing.py").write_text("raise RuntimeError('no driver')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("own_importable", None)


def test_an_object_of_the_working_directory_is_found(own):
    assert import_own("own_importable:make", key="factory")() == 1
    assert import_module("own_importable", key="plugins[0]").FIGURE == 3


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("own_importable", "cannot read 'own_importable'. Write 'package.module:function'."),
        ("own_importable:mak", "'own_importable' has no function 'mak'. Did you mean 'make'?"),
        ("own_importable:FIGURE", "'own_importable' has no function 'FIGURE'."),
        (
            "not_there:make",
            "cannot import 'not_there' of 'not_there:make': ModuleNotFoundError: No module named "
            "'not_there'. It must be installed or lie in the working directory.",
        ),
    ],
)
def test_what_is_wrong_with_a_reference_is_told_with_its_key(own, reference, problem):
    with pytest.raises(InputError) as caught:
        import_own(reference, key="some.key")
    assert str(caught.value) == f"some.key: {problem}"


def test_what_kind_of_object_is_wanted_is_told(own):
    with pytest.raises(InputError) as caught:
        import_own("own_importable", key="k", kind="Class")
    assert str(caught.value) == "k: cannot read 'own_importable'. Write 'package.module:Class'."
    with pytest.raises(InputError) as caught:
        import_own("own_importable:Makes", key="k", kind="Class")
    assert str(caught.value) == "k: 'own_importable' has no class 'Makes'. Did you mean 'Make'?"


def test_plugins_are_imported_and_one_that_cannot_be_is_told_with_its_place(own):
    import_plugins(["own_importable", "json"])
    assert "own_importable" in sys.modules
    with pytest.raises(InputError) as caught:
        import_plugins(["json", "own_failing"])
    assert str(caught.value) == (
        "plugins[1]: cannot import 'own_failing': RuntimeError: no driver. It must be installed "
        "or lie in the working directory."
    )


def test_a_module_that_was_written_meanwhile_is_found(own, tmp_path):
    with pytest.raises(InputError):
        import_module("own_importable_later", key="plugins[0]")
    (tmp_path / "own_importable_later.py").write_text("FIGURE = 5")
    try:
        assert import_module("own_importable_later", key="plugins[0]").FIGURE == 5
    finally:
        sys.modules.pop("own_importable_later", None)
