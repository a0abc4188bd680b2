import json

import pytest

from attnas.core import InputError
from benchmarks import supernet


def test_ranking_goes_on_where_it_stopped_and_refuses_other_settings(tmp_path, capsys):
    out = tmp_path / "supernet.json"
    arguments = ["--quick", "--only", "oneshot", "--parts", "ranking", "truth", "--out", str(out)]
    supernet.main(arguments)
    first = json.loads(out.read_text())
    assert len(first["truth"]) == supernet.QUICK["architectures"]
    assert "stand-alone figures of 5 architectures" in capsys.readouterr().out
    supernet.main(arguments)
    assert json.loads(out.read_text()) == first  # the times, too: nothing was trained again
    out.write_text(json.dumps({**first, "settings": {}}))
    with pytest.raises(InputError, match="holds results of other settings"):
        supernet.main(arguments)
