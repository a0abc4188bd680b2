"""The engine `ray` beside the local one."""

import importlib.util

import pytest

from attnas.config import parse_config
from attnas.core import AttnasError, InputError, Screening
from attnas.engine_config import RayConfig
from attnas.engines import ray_session, ray_tune
from attnas.engines.ray_tune import _turns_folder, worker_class
from attnas.engines.worker import WorkerSettings
from attnas.objects import Parcel
from attnas.observer import Observer
from attnas.search_loop import search


class Heard(Observer):
    def __init__(self):
        self.notes, self.flying, self.most, self.trials = [], set(), 0, []

    def note(self, text):
        self.notes.append(text)

    def evaluating(self, number, proposal):
        self.flying.add((proposal.architecture, proposal.epochs))
        self.most = max(self.most, len(self.flying))

    def trial(self, trial):
        self.flying.remove((trial.architecture, trial.epochs))
        self.trials.append(trial)


def proposals(run):
    return [(str(trial.architecture), trial.epochs, trial.state) for trial in run.trials]


def test_ray_with_one_worker_gives_the_trials_of_the_local_engine(
    settings, tmp_path, nodes, capfd, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    settings["budget"] = {"trials": 12}
    local = search({**settings, "name": "local"}, runs=tmp_path, observer=Observer())
    heard = Heard()
    run = search({**settings, "engine": {"ray": {"workers": 1}}}, runs=tmp_path, observer=heard)
    assert proposals(run) == proposals(local)
    for own, other in zip(run.trials, local.trials, strict=True):
        assert (own.metrics, own.violations) == (other.metrics, other.violations)
    assert heard.most == 1
    assert heard.trials == list(run.trials)
    assert heard.notes[-1] == "Budget used: 12 trials."
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")  # what Ray has to say is in the file
    assert (run.folder / "ray.log").exists()
    assert run.environment["training_threads"] == 1
    assert not _turns_folder(run.folder).exists()


def test_a_search_without_ray_names_the_extra(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_session, "find_spec", lambda name: None)
    with pytest.raises(AttnasError) as caught:
        search({**settings, "engine": "ray"}, runs=tmp_path)
    assert str(caught.value) == (
        "the engine 'ray' needs Ray, which is not installed: pip install 'attnas[ray]'."
    )
    assert not (tmp_path / "replayed").exists()


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_a_worker_for_which_no_machine_has_room_is_refused(settings, tmp_path, nodes):
    with pytest.raises(InputError) as caught:
        search({**settings, "engine": {"ray": {"gpus": 9}}}, runs=tmp_path)
    assert str(caught.value) == (
        "engine.ray.gpus: a worker cannot have 9: no machine of Ray has more than 0 GPUs."
    )


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_a_worker_may_have_a_share_of_a_gpu(tmp_path, monkeypatch):
    import ray

    half = RayConfig(gpus=0.5)
    node = {"Alive": True, "Resources": {"CPU": 2.0, "GPU": 1.0}}
    monkeypatch.setattr(ray, "nodes", lambda: [node])
    ray_session.check_room(half)
    nothing = Parcel.of({})
    given = WorkerSettings({}, Screening({}), tmp_path, tmp_path, tmp_path, 1, nothing)
    [bundle] = worker_class(given, half).default_resource_request({}).bundles
    assert bundle == {"CPU": 1, "GPU": 0.5}


def test_a_share_of_several_gpus_is_refused():
    with pytest.raises(InputError) as caught:
        parse_config({"engine": {"ray": {"gpus": 1.5}}})
    assert str(caught.value) == (
        "engine.ray.gpus: a worker gets a share of one GPU or whole ones, not 1.5."
    )


def test_a_node_with_the_resource_latency_measures_and_the_others_train(tmp_path, nodes):
    node = nodes.cluster.add_node(
        num_cpus=0, resources={"latency": 1}, object_store_memory=80 * 2**20
    )
    try:
        run = search(
            {
                "name": "measured",
                "data": {"source": "digits", "train": 100, "validation": 100},
                "search_space": {
                    "backbone": {"name": "resnet_cifar", "depth": 8, "width": 4},
                    "blocks": ["none", "eca"],
                },
                "training": {"epochs": 1},
                "budget": {"trials": 3},
                "engine": {"ray": {"workers": 1, "address": nodes.address}},
            },
            runs=tmp_path,
        )
    finally:
        nodes.cluster.remove_node(node)
    assert [trial.state for trial in run.trials] == ["complete"] * 3
    assert all(
        low <= t.metrics["latency_ms"] <= high
        for t in run.trials
        for low, high in [t.intervals["latency_ms"]]
    )
    again = {t.number for t in run.front() if not t.architecture.is_plain}
    assert again <= set(run.remeasured)


class OnThisDevice:
    """An evaluator whose process trains on one device in the precision found there."""

    def __init__(self, device, precision):
        self.facts = {"training_device": device, "precision": precision}

    def environment(self):
        return self.facts


@pytest.mark.parametrize(
    ("gpus", "here", "asked", "expected"),
    [
        (0, ("cpu", "bfloat16"), "auto", ("cpu", "bfloat16")),
        (0, ("cuda", "bfloat16"), "auto", ("cpu", "resolved here")),
        (0, ("cuda", "float32"), "float32", ("cpu", "float32")),
        (1, ("cpu", "float32"), "auto", ("cuda", "auto")),
        (0, ("none", "none"), "auto", ("none", "none")),
    ],
)
def test_the_precision_is_that_of_the_workers_device(gpus, here, asked, expected, monkeypatch):
    monkeypatch.setattr(ray_tune, "resolved_precision", lambda *_: "resolved here")
    engine = ray_tune.RayEngine(RayConfig(gpus=gpus))
    engine.precision = asked
    found = engine.environment(OnThisDevice(*here))
    assert (found["training_device"], found["precision"]) == expected
