import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from attnas.config import Config, load_config, parse_config, sections
from attnas.core import InputError
from attnas.evaluator import Recipe
from attnas.yaml_file import read_yaml


def error_of(content, file="cpu.yaml"):
    with pytest.raises(InputError) as caught:
        parse_config(content, file=file)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_an_empty_config_is_a_whole_search_on_the_embedded_data():
    config = parse_config({})
    assert config.data.source == "digits"
    assert config.objectives == {"accuracy": "max", "latency_ms": "min"}
    assert parse_config(config.model_dump(mode="json", exclude_none=True)) == config


def test_an_unknown_key_is_refused_with_the_nearest_one():
    assert error_of({"budgett": {"trials": 3}}) == (
        "cpu.yaml: budgett: unknown key 'budgett'. Did you mean 'budget'?"
    )
    assert error_of({"search_space": {"stages": {"layer1": {"block": ["se"]}}}}) == (
        "cpu.yaml: search_space.stages.layer1.block: unknown key 'block'. Did you mean 'blocks'?"
    )
    assert error_of({"budget": {"zzz": 3}}) == (
        "cpu.yaml: budget.zzz: unknown key 'zzz'. Known: epochs, hours, trials."
    )


def test_every_problem_is_told_at_once_with_its_key():
    assert error_of({"seed": -1, "search_space": {"ratios": [4, "eight"]}}).split("\n") == [
        "cpu.yaml: search_space.ratios[1]: must be a whole number, not 'eight'.",
        "cpu.yaml: seed: must be at least 0, not -1.",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"seed": 1.5}, "seed: must be a whole number, not 1.5."),
        ({"seed": None}, "seed: must be a whole number, not empty."),
        ({"data": {"train": "many"}}, "data.train: must be a number, not 'many'."),
        ({"training": {"momentum": 1}}, "training.momentum: must be below 1, not 1."),
        ({"training": {"momentum": [1]}}, "training.momentum: must be a number, not [1]."),
        (
            {"search_space": {"identity_start": "perhaps"}},
            "search_space.identity_start: must be true or false, not 'perhaps'.",
        ),
        ({"search_space": {"blocks": "se"}}, "search_space.blocks: must be a list, not 'se'."),
        ({"storage": 5}, "storage: must be a string, not 5."),
        ({"constraints": [1]}, "constraints: must be a mapping of keys, not [1]."),
    ],
)
def test_an_entry_of_the_wrong_kind_is_told_in_plain_words(content, said):
    assert error_of(content) == f"cpu.yaml: {said}"


def test_a_budget_of_epochs_or_hours_stands_for_that_of_trials_unless_both_are_given():
    assert parse_config({"budget": {"epochs": 90}}).budget.trials is None
    assert parse_config({"budget": {"hours": 2}}).budget.trials is None
    assert parse_config({"budget": {"epochs": 90, "trials": 9}}).budget.trials == 9
    assert parse_config({}).budget.trials == 40


def test_the_epochs_of_training_are_those_of_halving_where_they_are_not_given():
    strategy = {"name": "halving", "max_epochs": 18}
    config = parse_config({"strategy": strategy, "training": {"batch_size": 32}})
    assert (config.training.epochs, config.training.batch_size) == (18, 32)
    given = parse_config({"strategy": strategy, "training": {"epochs": 9}})
    assert given.training.epochs == 9  # refused when the strategy is made
    assert parse_config({"strategy": {"name": "halving"}}).training.epochs == 6


@pytest.mark.parametrize(
    ("content", "task", "metrics"),
    [
        ({"proxies": ["synflow"]}, {}, ["synflow"]),
        ({"proxies": ["synflow"], "metrics": ["naswot"]}, {}, ["naswot", "synflow"]),
        ({"proxies": None}, {}, None),
        ({"training": {"label_smoothing": 0.1}}, {"label_smoothing": 0.1}, None),
        ({"training": {"label_smoothing": 0.0}}, {}, None),
        (
            {"training": {"label_smoothing": 0.1}, "task": "classification"},
            {"label_smoothing": 0.1},
            None,
        ),
        (
            {
                "training": {"label_smoothing": 0.1},
                "task": {"name": "classification", "label_smoothing": 0.2},
            },
            {"label_smoothing": 0.2},
            None,
        ),
    ],
)
def test_keys_are_taken_where_earlier_versions_had_them(content, task, metrics):
    config = parse_config(content)
    assert (config.task.name, config.task.options) == ("classification", task)
    assert config.metrics == metrics
    assert parse_config(config.model_dump(mode="json", exclude_none=True)) == config
    assert "proxies" not in config.model_dump()
    assert "label_smoothing" not in config.training.model_dump()


@pytest.mark.parametrize(
    ("content", "objectives"),
    [
        ({}, {"accuracy": "max", "latency_ms": "min"}),
        ({"task": "classification"}, {"accuracy": "max", "latency_ms": "min"}),
        ({"task": {"name": "segmentation"}}, None),  # the task's own, which must be loaded first
        ({"training": {"function": "mine:train"}}, None),
        ({"objectives": {"params": "min"}}, {"params": "min"}),
    ],
)
def test_objectives_are_those_of_a_classification_unless_the_task_is_another(content, objectives):
    assert parse_config(content).objectives == objectives


def test_a_training_of_ones_own_has_no_data_unless_the_config_gives_some():
    own = {"function": "mine:train"}
    config = parse_config({"training": own})
    assert config.data is None
    assert parse_config(config.model_dump(mode="json", exclude_none=True)) == config
    assert parse_config({"training": own, "data": {"source": "digits"}}).data.source == "digits"
    assert parse_config({"training": {"epochs": 3}}).data.source == "digits"


def test_a_search_must_end():
    assert error_of({"budget": {"trials": None}}) == (
        "cpu.yaml: budget: give 'trials', 'epochs' or 'hours': a search must end."
    )


def test_a_backbone_is_named_or_made_by_a_factory():
    assert error_of({"search_space": {"backbone": {"depth": 8}}}) == (
        "cpu.yaml: search_space.backbone: give one of 'name' (one of ours), 'factory' (your own "
        "network), 'timm', 'torchvision', 'transformers'."
    )
    assert error_of({"search_space": {"backbone": {"name": "unet", "pretrained": True}}}) == (
        "cpu.yaml: search_space.backbone: 'pretrained' and 'weights' are for the models of "
        "libraries; `init: FILE` loads the weights of another network."
    )


@pytest.mark.parametrize("name", ["../up", "", "a/b", ".hidden"])
def test_a_name_that_is_no_folder_name_is_refused(name):
    assert error_of({"name": name}) == (
        f"cpu.yaml: name: '{name}' may have letters, digits, '.', '_' and '-' only, and begins "
        "with a letter or digit."
    )


def test_options_of_a_backbone_are_kept_for_it():
    config = parse_config({"search_space": {"backbone": {"name": "resnet_cifar", "depth": 14}}})
    assert config.search_space.backbone.options == {"depth": 14}


def test_overrides_replace_single_keys(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("budget: {trials: 4}\n")
    config = load_config(path, ["budget.trials=7", "training.epochs=2", "data.path=x y"])
    assert (config.budget.trials, config.training.epochs, config.data.path) == (7, 2, "x y")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("budget.trials", "--set: cannot read 'budget.trials'. Write --set dotted.key=value."),
        ("name.inner=3", "--set: 'name' in 'name.inner' is not a section."),
        ("seed=[1", "--set: the value of 'seed=[1' is not valid YAML."),
    ],
)
def test_an_override_that_cannot_be_read_is_named(tmp_path, override, message):
    path = tmp_path / "a.yaml"
    path.write_text("name: a\n")
    with pytest.raises(InputError) as caught:
        load_config(path, [override])
    assert str(caught.value) == message


def test_a_file_that_is_not_a_config_is_named(tmp_path):
    missing, broken, twice, text = (tmp_path / n for n in ("no.yaml", "b.yaml", "t.yaml", "l.yaml"))
    broken.write_text("name: [a\n")
    twice.write_text("seed: 1\nseed: 2\n")
    text.write_text("just words\n")
    for path, words in [
        (missing, "there is no such file."),
        (broken, "line 2: not valid YAML: expected ',' or ']', but got '<stream end>'."),
        (twice, "line 2: not valid YAML: the key 'seed' stands twice."),
        (text, "a config is a mapping of keys. `attnas init` writes one."),
    ]:
        with pytest.raises(InputError) as caught:
            load_config(path)
        assert str(caught.value) == f"{path}: {words}"


@given(text=st.text(max_size=40))
def test_any_text_is_read_or_is_an_input_error_that_names_the_file(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("yaml") / "any.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    read = outcome(lambda: read_yaml(path))
    expected = outcome(lambda: yaml.safe_load(text))
    if isinstance(read, InputError):
        assert str(read).startswith(f"{path}: ")
        assert isinstance(expected, Exception) or "stands twice" in str(read)
    else:
        assert repr(read) == repr(expected)


def outcome(call):
    """What the call returns, or the exception that it raises."""
    try:
        return call()
    except Exception as error:
        return error


def test_every_key_of_the_config_says_what_it_means():
    undescribed = [
        f"{key}.{name}"
        for key, model in sections()
        for name, field in model.model_fields.items()
        if not field.description
    ]
    assert undescribed == []
    assert {key for key, _ in sections()} >= {"", "data", "search_space.stages.STAGE", "budget"}
    assert Config.model_json_schema()["additionalProperties"] is False


def test_the_defaults_of_training_are_those_of_the_recipe():
    assert parse_config({}).training == Recipe()
