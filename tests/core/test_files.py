import json
import os
import socket
import stat
import subprocess
import sys
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnas.core import (
    AttnasError,
    in_use,
    locked,
    read,
    replace_file,
    to_json,
    to_yaml,
    write,
    writing,
)

texts = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | texts
values = st.recursive(
    scalars | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
contents = st.dictionaries(texts, values, max_size=3)


def message(call):
    with pytest.raises(AttnasError) as caught:
        call()
    return str(caught.value)


@settings(max_examples=40)
@given(content=contents)
@pytest.mark.parametrize(("suffix", "to_text"), [(".json", to_json), (".yaml", to_yaml)])
def test_what_is_written_is_read(tmp_path_factory, suffix, to_text, content):
    file = tmp_path_factory.mktemp("written") / f"run{suffix}"
    write(file, to_text(content))
    assert read(file) == content


def test_texts_are_for_people():
    content = {"ü": [1, 2], "a": {"b": 0.5}}
    assert to_json(content) == (
        '{\n  "ü": [\n    1,\n    2\n  ],\n  "a": {\n    "b": 0.5\n  }\n}\n'
    )
    assert to_yaml(content) == "ü:\n- 1\n- 2\na:\n  b: 0.5\n"


def test_a_number_that_json_does_not_know_is_not_written():
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json({"loss": float("nan")})


def test_a_file_is_replaced_for_all_to_read_and_nothing_else_is_left(tmp_path):
    file = tmp_path / "run.json"
    replace_file(file, b"one")
    replace_file(file, b"two")
    assert file.read_bytes() == b"two"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [file]


def test_a_reader_keeps_the_old_file_whole_while_it_is_replaced(tmp_path):
    file = tmp_path / "run.json"
    replace_file(file, b"one")
    with open(file, "rb") as reader:
        replace_file(file, b"two")
        assert reader.read() == b"one"


@pytest.mark.parametrize("step", ["replace", "fsync", "fchmod"])
def test_a_disk_that_refuses_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    file = tmp_path / "run.json"
    replace_file(file, b"one")
    monkeypatch.setattr(os, step, refuse)
    with pytest.raises(OSError, match="No space left"):
        replace_file(file, b"two")
    assert message(lambda: write(file, "two")) == (
        f"{file}: cannot be written: No space left on device. Correct that or choose another "
        "folder; what was finished is kept."
    )
    assert file.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [file]


def test_the_file_that_the_system_names_is_told_unless_it_is_a_temporary_one(tmp_path):
    def fail():
        raise FileNotFoundError(2, "No such file or directory", "other.txt")

    def refused(**options):
        with writing(tmp_path, **options):
            fail()

    assert message(refused).startswith("other.txt: cannot be written: No such file or directory.")
    assert message(lambda: refused(named=False)).startswith(f"{tmp_path}: cannot be written: ")


def test_other_errors_than_the_systems_pass_through(tmp_path):
    with pytest.raises(ZeroDivisionError), writing(tmp_path):
        _ = 1 / 0


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.json", None, "this file of the run is missing. Restore a copy."),
        (
            "a.json",
            b'{"a": 1',
            "the file is damaged: Expecting ',' delimiter: line 1 column 8 (char 7). "
            "Restore a copy.",
        ),
        ("a.json", b"[1]", "the file is damaged: it is no mapping. Restore a copy."),
        ("a.yaml", b"", "the file is damaged: it is no mapping. Restore a copy."),
        (
            "a.yaml",
            b"\xff",
            "cannot be read: 'utf-8' codec can't decode byte 0xff in position 0: "
            "invalid start byte.",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_its_path(tmp_path, name, content, problem):
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    assert message(lambda: read(file)) == f"{file}: {problem}"


def test_a_damaged_yaml_file_is_told_on_one_line(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("a: [1\nb: 2\n")
    found = message(lambda: read(file))
    assert found.startswith(f"{file}: the file is damaged: while parsing a flow sequence in ")
    assert found.endswith(". Restore a copy.")
    assert "\n" not in found


def test_a_folder_in_place_of_a_file_cannot_be_read(tmp_path):
    assert message(lambda: read(tmp_path)) == (
        f"{tmp_path}: cannot be read: [Errno 21] Is a directory: '{tmp_path}'."
    )


# Locks


def held(folder, by):
    return (
        f"{folder}: another search works on this run (process {by} on {socket.gethostname()}). "
        "Wait for it or stop it, or give the run another name."
    )


def lock(folder):
    with locked(folder):
        pass


HOLD = """
    import sys
    from pathlib import Path
    from attnas.core import locked
    with locked(Path(sys.argv[1])):
        print("held", flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder."""
    with subprocess.Popen(
        [sys.executable, "-c", dedent(HOLD), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_folder_that_another_process_holds_is_refused_until_that_ends(tmp_path, holder):
    assert message(lambda: lock(tmp_path)) == held(tmp_path, holder.pid)
    holder.kill()  # the system frees the lock, the file stays
    holder.wait()
    lock(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"host": "h"}'])
def test_a_holder_that_has_not_yet_said_who_it_is_is_unknown(tmp_path, holder, content):
    (tmp_path / "lock").write_text(content)
    assert message(lambda: lock(tmp_path)) == held(tmp_path, "unknown")


def test_a_process_is_kept_from_itself_also_by_another_way_to_the_folder(tmp_path):
    (tmp_path / "run").mkdir()
    other = tmp_path / "link"
    other.symlink_to(tmp_path / "run")
    with locked(tmp_path / "run"):
        assert message(lambda: lock(other)) == held(other, os.getpid())
        assert message(lambda: lock(tmp_path / "run")) == held(tmp_path / "run", os.getpid())
    lock(other)


def test_a_lock_is_freed_where_the_work_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        _ = 1 / 0
    lock(tmp_path)


def test_a_lock_says_who_holds_it(tmp_path):
    with locked(tmp_path):
        found = json.loads((tmp_path / "lock").read_text())
    assert found == {"pid": os.getpid(), "host": socket.gethostname()}


def test_a_folder_that_is_not_there_cannot_be_locked(tmp_path):
    folder = tmp_path / "none"
    assert message(lambda: lock(folder)) == (
        f"{folder / 'lock'}: cannot be written: No such file or directory. Correct that or "
        "choose another folder; what was finished is kept."
    )


def test_an_error_says_which_search_holds_a_database():
    assert str(in_use("postgresql://h/d", 7, "far")) == (
        "postgresql://h/d: another search works on this run (process 7 on far). "
        "Wait for it or stop it, or give the run another name."
    )
