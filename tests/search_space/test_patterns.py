import pytest

from attnas.core import InputError
from attnas.search_space.patterns import matched, matching

PATHS = ["", "stem", "stem.conv", "layer1", "layer1.0", "layer1.0.se", "layer1.0.se.fc1"]
PATHS += ["layer1.0.course", "layer2", "layer2.0", "layer2.0.se", "layer2.10", "se"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("layer1.0", ["layer1.0"]),
        ("se", ["se"]),  # the whole name, not the ends of others
        ("0.se", ["layer1.0.se", "layer2.0.se"]),
        ("se.fc1", ["layer1.0.se.fc1"]),
        ("conv", ["stem.conv"]),
        ("0", ["layer1.0", "layer2.0"]),
        ("urse", []),  # components end where there is a dot
        ("layer?", ["layer1", "layer2"]),
        ("layer*.0.se", ["layer1.0.se", "layer2.0.se"]),
        ("layer2.[01]", ["layer2.0"]),
        ("*", ["stem", "layer1", "layer2", "se"]),
        ("re:layer2.*", ["layer2", "layer2.0", "layer2.0.se", "layer2.10"]),
        (r"re:.*\.se", ["layer1.0.se", "layer2.0.se"]),
        ("re:layer", []),  # the expression is of whole paths
        ("re:", []),
        ("", []),
    ],
)
def test_a_pattern_names_paths_in_their_order(pattern, expected):
    assert matching(pattern, PATHS) == expected


def test_an_ending_is_what_peft_takes_for_a_target_module():
    """`key.endswith(f".{target}")` as in peft 0.15, tuners_utils.check_target_module_exists."""
    for target in ("se", "fc1", "0.se", "conv", "10"):
        paths = [path for path in PATHS if path != target]
        assert matching(target, paths) == [path for path in paths if path.endswith(f".{target}")]


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("layr1.0", "there is no 'layr1.0'. Did you mean 'layer1.0', 'layer2.0' or 'layer1.0.se'?"),
        ("stm", "there is no 'stm'. Did you mean 'stem'?"),
        ("blocks.fc", "there is no 'blocks.fc'. Did you mean 'fc1'?"),
        ("zzz", "there is no 'zzz'. It has stem, layer1, layer2, se."),
        ("z" * 200, f"there is no '{'z' * 200}'. It has stem, layer1, layer2, se."),
        ("re:layer(", "'layer(' is no regular expression: missing ), unterminated subpattern at "
                      "position 5."),
    ],
)  # fmt: skip
def test_one_that_names_nothing_is_refused_with_the_nearest(pattern, problem):
    with pytest.raises(InputError) as caught:
        matched(pattern, PATHS, what="there is no", key="freeze[0]")
    assert (caught.value.key, caught.value.problem) == ("freeze[0]", problem)


def test_where_there_are_no_paths_it_is_said():
    with pytest.raises(InputError, match="It has no submodules"):
        matched("conv", [""], what="there is no", key="")
