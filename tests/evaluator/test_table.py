import pandas as pd
import pytest

from attnas.core import METRICS, AttnasError, InputError, Trial
from attnas.evaluator.table import NotRecorded, Table, TableRow
from attnas.results import Run
from attnas.search_space import Backbone, SearchSpace

BACKBONE = Backbone("resnet_cifar", (("depth", 8),), input_shape=(3, 8, 8), output_shape=(4,))
SPACE = SearchSpace.create(
    BACKBONE, blocks=["none", "se", "eca"], ratios=[4, 8], placements=["residual"]
)


def row(*options: str, **cells) -> dict:
    decisions = dict(zip(SPACE.names, options, strict=True))
    return {**decisions, "epochs": 6, "accuracy": 0.7, "params": 77000, "seconds": 30.0, **cells}


ROWS = [
    row("none", "none", "none", accuracy=0.63, params=75000),
    row("none", "none", "none", epochs=18, accuracy=0.72, params=75000, seconds=90.0),
    row("se:r4@residual", "eca@residual", "none", accuracy=0.64),
]


@pytest.fixture(params=["csv", "parquet"])
def write(tmp_path, request):
    """Writes rows into a file of either format and gives its path."""

    def to_file(rows):
        path = tmp_path / f"recorded.{request.param}"
        frame = pd.DataFrame(rows)
        frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
        return path

    return to_file


def message(path, **arguments) -> str:
    with pytest.raises(InputError) as caught:
        Table.load(path, SPACE, **arguments)
    assert caught.value.key == "evaluator.table"
    return caught.value.problem.removeprefix(f"{path} ")


def test_what_was_recorded_is_found(write):
    table = Table.load(write(ROWS), SPACE, metrics=["accuracy"])
    found = table.lookup(SPACE.architecture(["se:r4@residual", "eca@residual", "none"]), 6)
    assert found == TableRow({"accuracy": 0.64, "params": 77000}, seconds=30.0)
    assert table.lookup(SPACE.plain, 18) == TableRow({"accuracy": 0.72, "params": 75000}, 90.0)
    assert table.epochs == (6, 18)
    assert (table.outside, table.incomplete) == (0, 0)


def test_other_spellings_are_the_same_network(write):
    # layer1 has 16 channels: every ratio leaves 4 hidden units
    table = Table.load(write([row("cse:r16@residual", "eca:r8@residual", "none")]), SPACE)
    there = SPACE.architecture(["se:r4@residual", "eca@residual", "none"])
    assert table.lookup(there, 6).seconds == 30.0


def test_rows_outside_the_space_and_unfinished_ones_are_counted_and_left_out(write):
    rows = [
        {**ROWS[0], "state": "complete"},
        row("gc:r4@residual", "none", "none", state="complete"),
        row("no choice", "none", "none", state="complete"),
        row("eca@residual", "none", "none", state="failed", accuracy=None, seconds=None),
        row("se:r4@residual", "none", "none", state="infeasible", accuracy=None),
        row("none", "none", "eca@residual", state="complete", accuracy=None),
        row("none", "none", "eca@residual", state="complete", seconds=None),
    ]
    table = Table.load(write(rows), SPACE, metrics=["accuracy"])
    assert list(table.rows) == [(SPACE.plain, 6)]
    assert (table.outside, table.incomplete) == (2, 4)


def test_the_frame_of_a_run_is_a_table(write, tmp_path):
    facts = {
        "backbone": BACKBONE.to_dict(),
        "decisions": [decision.to_dict() for decision in SPACE.decisions],
        "options": {name: list(SPACE.options_of(name)) for name in SPACE.names},
        "objectives": {"accuracy": "max", "params": "min"},
        "constraints": {},
        "plain": {"metrics": {"params": 75000.0}},
        "identity_start": True,
    }
    trained = SPACE.architecture(["se:r4@residual", "eca@residual", "none"])
    metrics = {"accuracy": 0.64, "params": 77000.0}
    with Run.create(tmp_path / "run", config={}, facts=facts, environment={}) as run, run.lock():
        run.append(Trial(0, trained, 6, "complete", metrics, seconds=30.0))
        run.append(Trial(1, trained, 18, "failed", reason="diverged"))
        frame = run.frame()
    table = Table.load(write(frame), SPACE, metrics=["accuracy"])
    assert table.rows == {(trained, 6): TableRow(metrics, 30.0)}
    assert table.incomplete == 1


def test_a_metric_without_a_value_is_left_out_of_its_row(write):
    table = Table.load(write([*ROWS, row("none", "none", "eca@residual", params=None)]), SPACE)
    there = SPACE.architecture(["none", "none", "eca@residual"])
    assert table.lookup(there, 6).metrics == {"accuracy": 0.7}


def test_the_plain_backbone_is_kept_where_the_space_does_not_have_it(write):
    lists = {"blocks": ["se", "eca"], "ratios": [4, 8], "placements": ["residual"]}
    without = SearchSpace.create(BACKBONE, **lists, identity_start=False)
    table = Table.load(write(ROWS), without)
    assert without.plain not in without
    assert table.lookup(without.plain, 6).metrics["accuracy"] == 0.63
    assert table.outside == 1  # has `none` in layer3


def test_equal_rows_may_stand_twice(write):
    assert len(Table.load(write([*ROWS, {**ROWS[0], "seconds": 31.0}]), SPACE).rows) == 3


def test_rows_that_disagree_are_refused(write):
    path = write([*ROWS, row("cse:r8@residual", "eca@residual", "none", accuracy=0.65)])
    assert message(path) == (
        "rows 3 and 4 disagree about one network: layer1=se:r4@residual layer2=eca@residual "
        "layer3=none after 6 epochs. Keep one of them."
    )


def test_an_architecture_that_was_not_recorded_is_told(write):
    path = write(ROWS)
    table = Table.load(path, SPACE)
    unknown = SPACE.architecture(["eca@residual", "none", "none"])
    with pytest.raises(NotRecorded) as caught:
        table.lookup(unknown, 6)
    assert isinstance(caught.value, AttnasError)
    assert isinstance(caught.value, LookupError)
    assert str(caught.value) == (
        f"{path} has no row for layer1=eca@residual layer2=none layer3=none."
    )


def test_epochs_that_were_not_recorded_are_told_with_those_that_were(write):
    path = write(ROWS)
    with pytest.raises(NotRecorded) as caught:
        Table.load(path, SPACE).lookup(SPACE.plain, 7)
    assert str(caught.value) == (
        f"{path} has layer1=none layer2=none layer3=none after 6, 18 epochs, not after 7."
    )


@pytest.mark.parametrize(
    ("dropped", "lacks"),
    [
        (["layer2"], "lacks the column 'layer2'."),
        (["epochs", "seconds"], "lacks the columns 'epochs', 'seconds'."),
        (["accuracy"], "lacks the column 'accuracy'."),
    ],
)
def test_missing_columns_are_told_with_those_that_a_table_has(write, dropped, lacks):
    frame = pd.DataFrame(ROWS).drop(columns=dropped)
    assert message(write(frame), metrics=["accuracy"]) == (
        f"{lacks} A table has a column for each decision (layer1, layer2, layer3), for epochs, "
        f"seconds and each metric; this one has {', '.join(frame.columns)}."
    )


def test_a_table_without_any_metric_is_refused(write):
    assert message(write(pd.DataFrame(ROWS).drop(columns=["accuracy", "params"]))) == (
        f"has no column of a metric. Metrics: {', '.join(METRICS)}."
    )
    assert {"accuracy", "dice", "r2", "latency_ms", "synflow"} <= set(METRICS)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (pd.DataFrame(ROWS).head(0), "it is empty."),
        (
            [row("none", "none", "gc@post"), row("none", "none", "none", accuracy=None)],
            "of 2, 1 not in the search space (the first: layer3: the option 'gc@post' lacks a "
            "ratio. Write 'gc:r8@post') and 1 not complete with accuracy.",
        ),
        (
            [row("none", "none", "sse@post")],
            "of 1, 1 not in the search space (the first: layer3: the option 'sse@post' is not in "
            "the search space. Allowed: none, eca@residual, se:r4@residual, se:r8@residual).",
        ),
        ([row("none", "none", "none", state="failed")], "of 1, 1 not complete with accuracy."),
    ],
)
def test_a_table_without_a_row_of_use_is_refused_with_the_reason(write, rows, why):
    assert message(write(rows), metrics=["accuracy"]) == f"has no row of use: {why}"


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"params": "many"}, "row 1 has params 'many', which is no number."),
        ({"epochs": 2.5}, "row 1 has epochs 2.5, not a whole number of at least 1."),
        ({"epochs": 0}, "row 1 has epochs 0, not a whole number of at least 1."),
        ({"epochs": None}, "row 1 has epochs nan, not a whole number of at least 1."),
    ],
)
def test_a_cell_that_is_no_number_is_told_with_its_row(tmp_path, cells, problem):
    path = tmp_path / "recorded.csv"
    pd.DataFrame([row("none", "none", "none", **cells)]).to_csv(path, index=False)
    assert message(path) == problem


def test_files_that_are_no_tables_are_refused(tmp_path):
    assert message(tmp_path / "recorded.csv") == "does not exist."
    assert message(tmp_path / "recorded.xlsx") == "is neither a .parquet nor a .csv file."
    (tmp_path / "folder.csv").mkdir()
    assert message(tmp_path / "folder.csv") == "is no file."


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.parquet", b"PAR1 and no more"),
        ("empty.csv", b""),
        ("binary.csv", b"\xff\xfe\x00\x81,\x90\n"),
        ("ragged.csv", b"a,b\n1,2\n1,2,3,4\n"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_on_one_line(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    problem = message(path)
    assert problem.startswith("cannot be read: ")
    assert len(problem.splitlines()) == 1


def test_widths_and_depths_are_columns_like_attention(write):
    space = SearchSpace.create(
        Backbone("resnet_cifar", (("depth", 14), ("width", 8)), (3, 8, 8), (4,)),
        blocks=["none", "se"],
        ratios=[4],
        placements=["residual"],
        stages={"layer1": {"blocks": ["none"]}, "layer2": {"blocks": ["none"]}},
        arguments={"width": [8, 16]},
        depth=[1, 2],
    )
    plain = dict(zip(space.names, space.plain.options, strict=True))
    rows = [
        {**plain, "epochs": 6, "accuracy": 0.6, "seconds": 1.0},
        {**plain, "width": "16", "layer3.depth": "1", "epochs": 6, "accuracy": 0.7, "seconds": 1.0},
        {**plain, "width": "24", "epochs": 6, "accuracy": 0.8, "seconds": 1.0},
    ]
    table = Table.load(write(rows), space, metrics=["accuracy"])  # a CSV has numbers there
    wide = space.architecture({**plain, "width": "16", "layer3.depth": "1"})
    assert table.lookup(wide, 6).metrics == {"accuracy": 0.7}
    assert table.lookup(space.plain, 6).metrics == {"accuracy": 0.6}
    assert table.outside == 1
