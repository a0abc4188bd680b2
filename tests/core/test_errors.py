import pickle

import pytest

from attnas.core import AttnasError, InputError, first_line, nearest, unknown


def test_the_message_is_file_key_and_problem():
    error = InputError("is wrong.", key="data.path", file="cpu.yaml")
    assert str(error) == "cpu.yaml: data.path: is wrong."
    assert str(InputError("is wrong.")) == "is wrong."


def test_the_exit_code_tells_wrong_input_from_failure():
    assert (AttnasError.exit_code, InputError.exit_code) == (1, 2)
    assert issubclass(InputError, AttnasError)


@pytest.mark.parametrize(
    ("outer", "inner", "joined"),
    [
        ("search_space", "blocks[1]", "search_space.blocks[1]"),
        ("search_space", "", "search_space"),
        ("", "blocks[1]", "blocks[1]"),
        ("options", "[2]", "options[2]"),
        ("", "", ""),
    ],
)
def test_a_place_known_better_is_put_before_the_key(outer, inner, joined):
    error = InputError("is wrong.", key=inner, file="a.yaml").inside(key=outer)
    assert (error.problem, error.key, error.file) == ("is wrong.", joined, "a.yaml")


def test_the_outer_file_is_the_one_that_the_user_wrote():
    error = InputError("is wrong.", file="inner.yaml").inside(file="outer.yaml")
    assert str(error) == "outer.yaml: is wrong."


def test_an_error_from_another_process_is_the_same():
    error = InputError("is wrong.", key="seed", file="a.yaml")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is InputError
    assert (copy.problem, copy.key, copy.file) == ("is wrong.", "seed", "a.yaml")


def test_the_nearest_known_name_is_offered():
    error = unknown("block", "cbma", ["se", "cbam"], listing="attnas blocks")
    assert str(error) == "unknown block 'cbma'. Did you mean 'cbam'? `attnas blocks` lists all."


def test_all_known_names_are_told_where_none_is_near():
    assert str(unknown("metric", "xyz", ["params", "flops"])) == (
        "unknown metric 'xyz'. Known: flops, params."
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("FooSampler", "Known: CmaEsSampler, GPSampler, TPESampler."),
        ("TPSampler", "Did you mean 'TPESampler'?"),
        ("TPESampelr", "Did you mean 'TPESampler'?"),
    ],
)
def test_an_ending_that_all_names_have_makes_no_name_near(name, hint):
    error = unknown("sampler", name, ["TPESampler", "GPSampler", "CmaEsSampler"])
    assert str(error) == f"unknown sampler '{name}'. {hint}"


@pytest.mark.parametrize(
    ("name", "names", "expected"),
    [
        ("cbma", ["se", "cbam"], "cbam"),
        ("xyz", ["se", "cbam"], None),
        ("se", [], None),
        ("randm", ["random"], "random"),
        ("Sampler", ["TPESampler", "GPSampler"], None),
    ],
)
def test_the_nearest_name_is_one_that_is_like_it(name, names, expected):
    assert nearest(name, names) == expected


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("one\ntwo"), "one"),
        (RuntimeError("\n  one"), "one"),
        (MemoryError(), "MemoryError"),
        (KeyError("name"), "'name'"),
    ],
)
def test_of_somebody_elses_error_the_first_line_is_told_or_its_class(error, line):
    assert first_line(error) == line
