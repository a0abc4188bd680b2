from attnas.listings import device_rows, strategy_rows


def test_every_strategy_and_device_says_what_it_is():
    assert all(row["what"] for row in (*strategy_rows(), *device_rows()))
    usable = {row["device"]: row["usable_here"] for row in device_rows()}
    assert usable["torch-cpu"] == "yes"
