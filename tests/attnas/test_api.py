import json

import pytest
import torch

import attnas
from attnas.api import build, load_run
from attnas.core import InputError
from attnas.search_loop import search


@pytest.fixture
def run(settings, tmp_path):
    return search({**settings, "budget": {"trials": 3}}, runs=tmp_path)


def weights(network):
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_a_run_is_loaded_by_name_or_folder(run, tmp_path):
    assert load_run("replayed", runs=tmp_path).trials == run.trials
    assert load_run(run.folder).trials == run.trials
    with pytest.raises(InputError, match=r"there is no run 'repayed'\. Did you mean 'replayed'\?"):
        load_run("repayed", runs=tmp_path)


def test_an_architecture_is_built_from_itself_or_its_export(run, tmp_path):
    from attnas.results import write_export

    best = run.best()
    for name in ("best.yaml", "best.json"):
        write_export(run, best, tmp_path / name)
        torch.testing.assert_close(
            weights(build(tmp_path / name, seed=4)), weights(build(best.architecture, seed=4))
        )
    assert attnas.build(str(tmp_path / "best.json"), seed=4)(torch.zeros(2, 3, 32, 32)).shape == (
        2,
        10,
    )


def test_a_seed_gives_its_weights_and_none_those_of_torchs_generator(run):
    architecture = run.best().architecture
    assert torch.equal(weights(build(architecture, seed=4)), weights(build(architecture, seed=4)))
    assert not torch.equal(
        weights(build(architecture, seed=4)), weights(build(architecture, seed=5))
    )
    torch.manual_seed(0)
    first, second = weights(build(architecture)), weights(build(architecture))
    torch.manual_seed(0)
    assert torch.equal(weights(build(architecture)), first)
    assert not torch.equal(first, second)


def test_what_is_no_export_is_refused(tmp_path):
    path = tmp_path / "other.json"
    path.write_text(json.dumps({"version": 99}))
    with pytest.raises(InputError):
        build(path)
