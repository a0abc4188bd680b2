import json

import pytest

from attnas import block_listing
from attnas.block_listing import FAMILIES, block_rows, block_table
from attnas.core import InputError
from attnas.entry import run_command
from attnas.search_space import BLOCKS


@pytest.fixture(scope="module")
def rows():
    return block_rows()


def test_every_block_is_listed_with_what_it_is_and_costs(rows):
    named = {row["block"]: row for row in rows}
    assert [row["block"] for row in rows] == ["none", *sorted(BLOCKS)]
    assert (named["eca"]["params_at_64"], named["se"]["params_at_64"]) == (3, 580)
    assert named["se"]["flops_at_64"] == 2 * 64 * 32 * 32 + 2 * 64 * 4 + 64
    assert named["se"]["ratio_means"] == "bottleneck width C / r"
    assert (named["sra"]["family"], named["sra"]["kind"]) == ("self-attention", "mixer")
    assert (named["ema"]["paper"], named["ema"]["year"]) == (
        "Ouyang et al., arXiv:2305.13563",
        2023,
    )
    assert all(row["what"] for row in rows)
    assert all(row["family"] in FAMILIES for row in rows[1:])


def test_rows_are_filtered_and_sorted():
    spatial = block_rows(family="spatial")
    assert [row["block"] for row in spatial] == ["sse"]
    by_cost = block_rows(family="both", order="flops")
    flops = [row["flops_at_64"] for row in by_cost]
    assert flops == sorted(flops)
    years = [row["year"] for row in block_rows(family="mixer", order="year")]
    known = [year for year in years if year is not None]
    assert years == [*sorted(known), *[None] * (len(years) - len(known))]


def test_latencies_are_measured_where_that_is_asked_for(monkeypatch):
    monkeypatch.setattr(block_listing, "RUNS", 3)
    measured = block_rows(family="spatial", order="latency", measure=True)
    assert 0 < measured[0]["latency_ms"] < 1000
    shown = block_table(measured)
    assert list(shown[0])[-2:] == ["ms", "paper"]
    assert float(shown[0]["ms"]) == pytest.approx(measured[0]["latency_ms"], abs=1e-3)


def test_a_terminal_gets_the_short_form(rows):
    shown = block_table(rows)
    assert list(shown[0]) == ["block", "family", "ratio", "params", "flops", "year", "paper"]
    assert shown[0]["block"] == "none"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"family": "spacial"},
            "--family: unknown family 'spacial'. Did you mean 'spatial'?",
        ),
        (
            {"order": "size"},
            "--sort: cannot sort by 'size': block, family, params, flops, latency, year.",
        ),
        (
            {"order": "latency"},
            "--sort: cannot sort by 'latency': block, family, params, flops, latency, year. "
            "Add --measure.",
        ),
    ],
)
def test_what_cannot_be_listed_is_refused(arguments, message):
    with pytest.raises(InputError) as error:
        block_rows(**arguments)
    assert str(error.value) == message


def test_the_command_lists_a_family_as_a_table_and_as_json(capsys):
    assert run_command(["blocks", "--family", "spatial"]) == 0
    assert "sse" in capsys.readouterr().out
    assert run_command(["blocks", "--family", "spatial", "--sort", "year", "--json"]) == 0
    assert [row["block"] for row in json.loads(capsys.readouterr().out)] == ["sse"]
