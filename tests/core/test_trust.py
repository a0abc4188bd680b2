import stat
import sys

import pytest

from attnas.core import InputError, check_trust, mark_of, named_code

OWN = {"plugins": ["my_blocks"], "backbone": {"name": "my_nets:small", "arguments": {"width": 8}}}


@pytest.fixture(autouse=True)
def user(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTNAS_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "state"


def refused(content, trust=False, mark=None):
    with pytest.raises(InputError) as caught:
        check_trust(mark, content, trust=trust, file="f")
    return str(caught.value)


def test_plugins_and_references_are_found_wherever_they_stand():
    content = {
        "plugins": ["a.b"],
        "data": {"source": "c:d"},
        "search_space": {"backbone": {"factory": "e:f"}, "blocks": ["se:r8@residual"]},
        "strategy": {"name": "nni:TPE"},
        "task": "g:h",
        "training_function": {"name": "i:j"},
        "training": {"function": "object:x@12"},
        "architecture": {"layer1": "se:r8"},
    }
    assert named_code(content, {"plugins": None}) == ("a.b", "c:d", "e:f", "g:h", "i:j")


def test_what_names_no_code_needs_no_mark():
    content = {"plugins": [], "backbone": {"name": "resnet_cifar"}}
    assert mark_of(content) is None
    check_trust(None, content, trust=False, file="f")


def test_code_of_others_is_refused_in_one_line_that_names_it():
    assert refused(OWN) == (
        "f: was not made by you and names code that would run here: my_blocks, my_nets:small. "
        "Look at it, and if you trust it add --trust (Python: trust=True)."
    )
    assert "my_nets:small." in refused(OWN, trust=("my_blocks",))
    check_trust(None, OWN, trust=True, file="f")
    check_trust(None, OWN, trust=("my_blocks", "my_nets:small"), file="f")


def test_a_mark_holds_for_its_user_and_for_what_it_was_made_of(user, monkeypatch):
    mark = mark_of(OWN)
    check_trust(mark, OWN, trust=False, file="f")
    assert stat.S_IMODE((user / "key").stat().st_mode) == 0o600
    for changed in (
        {**OWN, "plugins": ["my_blocks", "x"]},
        {**OWN, "backbone": {"name": "my_nets:small", "arguments": {"width": 9}}},
    ):
        refused(changed, mark=mark)
    for wrong in (None, 5, "", "0" * 64, "é"):
        refused(OWN, mark=wrong)
    monkeypatch.setenv("ATTNAS_STATE", str(user.parent / "other"))
    refused(OWN, mark=mark)


def test_installed_plugins_and_networks_of_libraries_are_taken(timm_class):
    check_trust(None, {"plugins": ["lazy_loader"]}, trust=False, file="f")
    check_trust(None, {"backbone": {"name": "timm:create_model"}}, trust=False, file="f")


@pytest.mark.parametrize("name", ["os:system", "pandas:read_pickle", "torch.hub:load", "sys:exit"])
def test_a_function_that_could_do_anything_is_refused(name):
    assert name in refused({"data": {"source": name}})


def test_a_module_of_the_working_directory_is_not_installed(tmp_path, monkeypatch):
    (tmp_path / "lazy_loader_of_others.py").write_text("raise SystemExit\n")
    refused({"plugins": ["lazy_loader_of_others"]})
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("raise SystemExit\n")
    refused({"backbone": {"name": "torchvision.models:resnet18"}})
    assert "lazy_loader_of_others" not in sys.modules


def test_what_the_program_has_imported_already_is_taken(monkeypatch):
    monkeypatch.setitem(sys.modules, "my_blocks", sys)
    check_trust(None, {"plugins": ["my_blocks"]}, trust=False, file="f")


def test_without_a_place_for_the_key_the_process_knows_its_own(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ATTNAS_STATE", str(tmp_path / "file" / "state"))
    check_trust(mark_of(OWN), OWN, trust=False, file="f")
