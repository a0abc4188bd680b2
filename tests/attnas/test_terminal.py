from types import SimpleNamespace

import pytest

from attnas.core import AttnasError, InputError
from attnas.terminal import check_writable, trial_of


def test_a_run_without_trials_says_that_it_has_none():
    with pytest.raises(InputError) as caught:
        trial_of(SimpleNamespace(name="new", trials=()), 0)
    assert str(caught.value) == "TRIAL: the run new has no trial 0; it has none yet."


def test_a_file_is_tried_where_it_will_be_and_nothing_is_left(tmp_path):
    check_writable(tmp_path / "out.py")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="is a folder: name a file in it"):
        check_writable(tmp_path)
    with pytest.raises(AttnasError, match="cannot be written: No such file or directory"):
        check_writable(tmp_path / "nowhere/out.py")
