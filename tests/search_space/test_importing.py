import sys

import pytest

from attnas.search_space import InputError, import_module, import_own


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_importable.py").write_text("FIGURE = 3\n\ndef make(): return 1\n")
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
