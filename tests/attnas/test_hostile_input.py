"""Input that is made to break a program: one short message, exit code 2, at once."""

import io
import sys

import pytest
import yaml

from attnas.entry import LONGEST, run_command

OWN = """
def leave(**options):
    raise SystemExit(0)
"""
SMALL = {"data": {"train": 100, "validation": 50}, "budget": {"trials": 1}}


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    """Searches with a config of this text; the exit code and the message."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTNAS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "leaving.py").write_text(OWN)
    (tmp_path / "leaving_at_once.py").write_text("raise SystemExit(0)\n")

    def said(text, *arguments):
        (tmp_path / "c.yaml").write_text(text if isinstance(text, str) else yaml.safe_dump(text))
        code = run_command(["search", "c.yaml", *arguments])
        return code, capsys.readouterr().err

    yield said
    for name in ("leaving", "leaving_at_once"):
        sys.modules.pop(name, None)


def bomb():
    lines = ["- &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"- &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    return "baselines:\n" + "\n".join(lines)


def chain():
    return "- &a0 [x]\n" + "\n".join(f"- &a{i} [*a{i - 1}]" for i in range(1, 5000))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: " + "[" * 3000 + "]" * 3000, "line 1: not valid YAML: it is nested deeper than 50"),
        (bomb(), "not valid YAML: its aliases make more than 200,000 values of it."),
        (chain(), "not valid YAML: its aliases nest it deeper than 50 levels."),
        ("a: &a {b: *a}", "line 1: not valid YAML: an alias stands inside what it stands for."),
        ("<<: &a {<<: *a}", "line 1: not valid YAML: an alias stands inside what it stands for."),
        ("\n".join(f"k{i}: 1" for i in range(100_000)), "has more than 500,000 characters"),
        ("seed: " + "9" * 5000, "not valid YAML: a number has too many digits."),
        (f"seed: 0x{'f' * 5000}", "seed: must be below 9223372036854775808, not a number of 60"),
        (f"training: {{epochs: {'9' * 4000}}}", "training.epochs: must be at most 1000000, not a"),
        (f"name: {'a' * 300}", "name: string should have at most 200 characters, not 'aaa"),
        (f"seed: {'a' * 100_000}", "seed: must be a whole number, not 'aaa"),
        (
            "device: {batch_size: 100000000000}",
            "device.batch_size: 100000000000 inputs of 1 x 8 x 8 fill more than the ",
        ),
        (
            "search_space: {backbone: {name: resnet_cifar, depth: 2000000}}",
            "search_space.backbone.depth: must be at most 2,000, not 2000000.",
        ),
        (
            "search_space: {arguments: {width: [8, 20000000]}}",
            "search_space.arguments.width: must be at most 2,048, not 20000000.",
        ),
    ],
    ids=lambda value: value[:24],
)
def test_depth_aliases_sizes_and_counts_have_limits(said, text, message):
    code, err = said(text)
    assert code == 2
    assert err.startswith(f"attnas: c.yaml: {message}")
    assert len(err.encode()) <= LONGEST


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("data: {source: digits, train: .inf}", "data.train"),
        ("strategy: {name: evolution, rate: [1, -.inf]}", "strategy.rate[1]"),
        ("device: {name: torch-cpu, x: {y: .nan}}", "device.x.y"),
    ],
)
def test_numbers_that_are_not_finite_are_refused_wherever_they_stand(said, text, key):
    code, err = said(text)
    assert code == 2
    assert err.startswith(f"attnas: c.yaml: {key}: must be a finite number, not ")


def test_of_many_wrong_keys_five_are_named(said):
    code, err = said("\n".join(f"k{i}: 1" for i in range(40_000)))
    assert code == 2
    assert err.count("\n") == 6
    assert err.endswith("\n... and 39,995 more.\n")
    assert len(err.encode()) <= LONGEST


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"data": {"source": "sys:exit"}}, "data.source: 'sys:exit' ended the program"),
        ({"data": {"source": "leaving:leave"}}, "data.source: 'leaving:leave' ended the program"),
        (
            {"search_space": {"backbone": {"factory": "leaving:leave", "stages": {"a": {
                "units": ["layer*"], "sites": {"post": {"after": ""}}}}}}},
            "search_space.backbone.factory: 'leaving:leave' ended the program",
        ),
        ({"device": {"name": "leaving:leave"}}, "device.name: 'leaving:leave' ended the program"),
        ({"plugins": ["leaving_at_once"]}, "plugins[0]: cannot import 'leaving_at_once': System"),
        (
            {"training": {"function": "leaving_at_once:f"}, "objectives": {"x": "max"}},
            "training.function: cannot import 'leaving_at_once' of 'leaving_at_once:f': SystemExit",
        ),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_code_that_ends_the_program_is_that_codes_failure(said, config, message):
    code, err = said(config)
    assert code == 2
    assert err.startswith(f"attnas: c.yaml: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "key",
    [
        "seed", "budget.trials", "budget.hours", "device.threads", "device.batch_size",
        "data.train", "data.split_seed", "training.epochs", "training.learning_rate",
    ],
)  # fmt: skip
def test_true_and_false_are_no_numbers(said, key):
    code, err = said({}, "--set", f"{key}=true")
    assert (code, err) == (2, f"attnas: c.yaml: {key}: must be a number, not True.\n")


def test_true_is_no_number_in_a_list_or_for_an_engine(said):
    assert said("search_space: {ratios: [4, true]}")[1].startswith(
        "attnas: c.yaml: search_space.ratios: must be a number, not True."
    )
    assert said("engine: {ray: {workers: true}}")[1].startswith(
        "attnas: c.yaml: engine.ray.workers: must be a number, not True."
    )


def test_the_merge_keys_of_yaml_are_read(said):
    text = """
    search_space:
      stages:
        layer1: &first {blocks: [none, eca], placements: [post]}
        layer2: {<<: *first, placements: [residual]}
        layer3: {<<: [*first], blocks: [nothing]}
    """
    code, err = said(text)
    assert code == 2
    assert err.startswith("attnas: c.yaml: search_space.stages.layer3.blocks[0]: unknown block")
    code, err = said("seed: 1\nbudget: {<<: {trials: 2}}\nseed: 2")
    assert err == "attnas: c.yaml: line 3: not valid YAML: the key 'seed' stands twice.\n"


@pytest.mark.parametrize(
    "url",
    [
        "'postgresql://u@127.0.0.1:1/db?password=Geheim'",
        "'postgresql://u:Ge@heim@127.0.0.1:1/db'",
        "'postgresql://u:Geh/ei@m@127.0.0.1:1/db'",
        "'postgresql://u:Geheim@127.0.0.1:port/db'",
        "'postgresql://u:Geheim@127.0.0.1:1/db'",
        "'mysql://u:Geheim@127.0.0.1:1/db'",
        "{password: Geheim}",
        "['postgresql://u:Geheim@127.0.0.1:1/db']",
        "5 Geheim: {",
    ],
)
def test_a_password_stands_in_no_message(said, url):
    code, err = said("{}", "--set", f"storage={url}")
    assert code in (1, 2)
    assert "storage" in err or "127.0.0.1" in err
    if not url.startswith("5"):  # is no YAML: the user sees what was given
        assert not any(part in err for part in ("Geh", "heim", "ei@m"))


def test_names_that_are_too_long_and_a_file_for_the_runs_are_wrong_input(said, capsys):
    assert said(SMALL, "--runs", "c.yaml") == (
        2, "attnas: c.yaml: is a file; runs need a folder.\n"
    )  # fmt: skip
    assert said(SMALL, "--runs", "r" * 300)[1].endswith("rrr: File name too long.\n")
    for command in (["pareto", "r" * 300], ["show", "r" * 300, "0"], ["export", "r" * 300]):
        assert run_command(command) == 2
        assert capsys.readouterr().err.endswith("rrr': File name too long.\n")
    assert run_command(["pareto", "x", "--runs", "c.yaml"]) == 2


def test_options_of_data_and_device_are_checked_where_a_table_is_replayed(said, settings):
    code, err = said(settings | {"data": {"source": "digits", "sise": 8}})
    assert (code, err) == (
        2, "attnas: c.yaml: data.sise: the source 'digits' has no option 'sise'.\n"
    )  # fmt: skip
    code, err = said(settings | {"device": {"name": "torch-cpu", "clock": 3}})
    assert code == 2
    assert err.startswith("attnas: c.yaml: device.clock: unknown setting of device torch-cpu")


def test_an_exported_file_has_limits_too(said, tmp_path, capsys):
    for name, text in (
        ("deep.yaml", "[" * 5000),
        ("deep.json", "[" * 100_000),
        ("long.json", '{"version": ' + "9" * 5000 + "}"),
        ("bomb.yaml", bomb()),
        ("large.json", " " * 600_000),
    ):
        (tmp_path / name).write_text(text)
        assert run_command(["train", name]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"attnas: {name}: ")
        assert "internal error" not in err
        assert len(err) < 200


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_an_output_that_cannot_show_a_character_gets_one_like_it(monkeypatch, encoding):
    from attnas.encoding import show_similar

    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding=encoding))
    show_similar()
    print("5 ± 1 ≤ 7 é 漢", end="", flush=True)
    assert written.getvalue().decode(encoding) == {
        "ascii": "5 +- 1 <= 7 e ?",
        "latin-1": "5 ± 1 <= 7 é ?",
        "utf-8": "5 ± 1 ≤ 7 é 漢",
    }[encoding]  # fmt: skip
