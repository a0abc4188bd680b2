import json
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from wsgiref.util import setup_testing_defaults

import pytest

from attnas.dashboard import Dashboard
from attnas.entry import run_command
from attnas.results import Remeasured, Run
from attnas.search_loop import search


@pytest.fixture
def run(settings, tmp_path):
    return search({**settings, "budget": {"trials": 4}}, runs=tmp_path)


@pytest.fixture
def server(run):
    with Dashboard(run.folder, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def get(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        return answer.read().decode()


def test_the_page_is_the_report_as_it_is_now(server, run, settings, tmp_path):
    first = get(server.url)
    assert f"from {len(run.trials)} trials of replayed" in first
    assert get(f"{server.url}trials?x=1") == str(len(run.trials))
    assert f'!== "{len(run.trials)}") location.reload()' in first
    more = search({**settings, "budget": {"trials": 7}}, runs=tmp_path)
    assert len(more.trials) > len(run.trials)
    assert get(f"{server.url}trials") == str(len(more.trials))
    assert f"from {len(more.trials)} trials of replayed" in get(server.url)


def test_latencies_measured_again_make_a_new_page(server, run):
    first = get(server.url)
    trial = run.front()[0]
    with run:
        run.remeasure({trial.number: Remeasured(77.77, 77.0, 78.0, {})}, {"ms": 1.0})
    state = get(f"{server.url}trials")
    assert f'"{state}") location.reload()' not in first
    now = get(server.url)
    assert f'"{state}") location.reload()' in now
    assert "77.77" in now
    assert "77.77" not in first


def test_a_host_may_come_without_its_port(server):
    assert get(server.url, Host="localhost") == get(server.url)


def test_a_run_that_cannot_be_read_is_told_and_the_page_tries_again(server, run):
    record = run.folder / "run.json"
    content = record.read_text()
    record.write_text("no JSON <b>")
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(server.url)
    assert caught.value.code == 503
    said = caught.value.read().decode()
    assert "the file is damaged" in said
    assert 'http-equiv="refresh"' in said
    record.write_text(content)
    assert "trials of replayed" in get(server.url)


@pytest.mark.parametrize(
    ("path", "host", "code"), [("nosuch", None, 404), ("", "evil.example:80", 403)]
)
def test_nothing_else_is_served(server, path, host, code):
    headers = {"Host": host} if host else {}
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(server.url + path, **headers)
    assert caught.value.code == code


def test_only_this_machine_can_reach_it(server):
    assert server.server_address[0] == "127.0.0.1"


def test_a_port_in_use_is_wrong_input(run, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code = run_command(["dashboard", str(run.folder), "--port", str(port)])
    assert code == 2
    assert capsys.readouterr().err == (
        f"attnas: --port: {port} cannot be used: Address already in use. "
        "--port 0 takes any free one.\n"
    )


def test_the_command_prints_the_url_and_ends_with_ctrl_c(run):
    command = [sys.executable, "-m", "attnas", "dashboard", str(run.folder), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        said = process.stderr.readline()
        [url] = re.findall(r"http://127\.0\.0\.1:\d+/", said)
        assert get(f"{url}trials") == str(len(run.trials))
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline() == "Ended. The page alone: the run is left as it is.\n"
        process.send_signal(signal.SIGINT)  # an impatient second one
        assert process.wait(30) == 0
        assert process.stderr.read() == ""


def test_optuna_dashboard_opens_a_run(run):
    api = pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
    import optuna

    storage = optuna.storages.RDBStorage(f"sqlite:///{run.folder}/trials.db")
    application = api.wsgi(storage)
    statuses = []

    def ask(path):
        environment = {"PATH_INFO": path, "QUERY_STRING": "after=0"}
        setup_testing_defaults(environment)
        body = application(environment, lambda status, headers, error=None: statuses.append(status))
        return json.loads(b"".join(body))

    [study] = ask("/api/studies")["study_summaries"]
    assert study["study_name"] == "replayed"
    detail = ask(f"/api/studies/{study['study_id']}")
    assert all(status.startswith("200") for status in statuses)
    assert len(detail["trials"]) == len(run.trials)
    complete = [trial for trial in run.trials if trial.state == "complete"]
    shown = [trial for trial in detail["trials"] if trial["state"] == "Complete"]
    assert [trial["values"] for trial in shown] == [
        [trial.metrics["accuracy"], trial.metrics["latency_ms"]] for trial in complete
    ]
    assert Run.open(run.folder).trials == run.trials
