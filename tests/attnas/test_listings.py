from attnas.listings import block_rows, device_rows, strategy_rows
from attnas.search_space import BLOCKS


def test_every_block_is_listed_with_what_it_computes():
    rows = {row["block"]: row for row in block_rows()}
    assert set(rows) == {"none", *BLOCKS}
    assert rows["eca"]["params_at_64"] == 3
    assert rows["se"]["params_at_64"] == 580
    assert all(row["what"] for row in rows.values())


def test_every_strategy_and_device_says_what_it_is():
    assert all(row["what"] for row in (*strategy_rows(), *device_rows()))
    usable = {row["device"]: row["usable_here"] for row in device_rows()}
    assert usable["torch-cpu"] == "yes"
