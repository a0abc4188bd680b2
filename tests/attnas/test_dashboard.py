import gzip
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from wsgiref.util import setup_testing_defaults

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnas import published
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
        content = answer.read()
        packed = answer.headers.get("Content-Encoding") == "gzip"
        return (gzip.decompress(content) if packed else content).decode()


def content(server, since=""):
    """The new content as a browser gets it; None if there is none."""
    text = get(f"{server.url}content?since={since}")
    return json.loads(text) if text else None


@pytest.fixture
def no_pauses(monkeypatch):
    """The run is looked at with every question."""
    monkeypatch.setattr("attnas.published.LOOK_SECONDS", 0.0)
    monkeypatch.setattr("attnas.published.SHARE_OF_TIME", 1e9)


@pytest.mark.usefixtures("no_pauses")
def test_the_page_is_the_report_as_it_is_now(server, run, settings, tmp_path):
    first = get(server.url)
    assert f"from {len(run.trials)} trials of replayed" in first
    assert 'SOURCE = "/"' in first
    assert "plotly.js" in get(f"{server.url}plotly.js")[:1000]
    all_of_it = content(server)
    numbers = [str(trial.number) for trial in run.trials]
    assert list(all_of_it["rows"]) == list(all_of_it["texts"]) == numbers
    assert all_of_it["figures"].keys() == {"front-1", "hypervolume"}
    more = search({**settings, "budget": {"trials": 7}}, runs=tmp_path)
    assert len(more.trials) > len(run.trials)
    assert f"from {len(more.trials)} trials of replayed" in get(server.url)


@pytest.mark.usefixtures("no_pauses")
def test_only_what_is_new_is_sent(server, run, settings, tmp_path):
    before = content(server)
    assert content(server, before["version"]) is None
    more = search({**settings, "budget": {"trials": 7}}, runs=tmp_path)
    new = content(server, before["version"])
    added = {str(n) for n in range(len(run.trials), len(more.trials))}
    assert added <= new["rows"].keys()
    assert added <= new["texts"].keys()
    assert "config" not in new["parts"]
    assert "footer" in new["parts"]
    kept = before["rows"].keys() - new["rows"].keys()
    assert kept  # rows whose role did not change
    assert {**before["rows"], **new["rows"]} == content(server)["rows"]
    assert content(server, new["version"]) is None
    assert content(server, "of%20another%20process")["rows"] == content(server)["rows"]


def test_one_content_is_made_for_all_who_look(server, monkeypatch):
    made = []
    make = published.report_content
    monkeypatch.setattr(
        published, "report_content", lambda *given: made.append(given) or make(*given)
    )
    with ThreadPoolExecutor(50) as clients:
        texts = list(clients.map(get, [f"{server.url}content", server.url] * 100))
    assert len(set(texts)) == 2
    assert len(made) == 1


def test_slow_and_vanished_clients_cost_others_nothing_and_print_nothing(server, capfd):
    idle = [socket.create_connection(server.server_address) for _ in range(100)]
    try:
        for client in idle[:50]:
            client.sendall(b"GET / HTTP/1.1\r\nHost: loc")  # and no more
        vanished = [socket.create_connection(server.server_address) for _ in range(20)]
        for client in vanished:
            client.sendall(b"GET /plotly.js HTTP/1.1\r\nHost: localhost\r\n\r\n")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()  # with a reset
        with ThreadPoolExecutor(20) as clients:
            pages = list(clients.map(get, [server.url] * 40))
        assert len(set(pages)) == 1
    finally:
        for client in idle:
            client.close()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "sent",
    [
        b"\0\1\2\3\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET /content?since=\xff%00" + b"9" * 5000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=lambda sent: sent[:20].decode("latin-1"),
)
def test_a_request_that_is_none_is_answered_and_the_server_stays(server, sent, capfd):
    with socket.create_connection(server.server_address, timeout=20) as client:
        with suppress(OSError):  # one who has answered may hang up before all is sent
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
        answer = client.recv(100)
    assert answer[:9] in (b"HTTP/1.0 ", b"HTTP/1.1 ")
    assert answer[9:10] in (b"2", b"4")
    assert "trials of replayed" in get(server.url)
    assert capfd.readouterr() == ("", "")


_words = st.binary(min_size=1, max_size=40).map(lambda raw: raw.replace(b"\n", b""))
_names = st.sampled_from(
    [b"Host", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Expect", b"Cookie", b"X"]
)


@st.composite
def requests(draw):
    """Requests of which any part may be anything; a line ends where it should."""
    method = draw(st.sampled_from([b"GET", b"HEAD", b"POST", b"OPTIONS"]) | _words)
    known = st.sampled_from([b"/", b"/content", b"/content?since=", b"/plotly.js", b"*"])
    target = draw(known | _words) + draw(st.just(b"") | _words)
    version = draw(st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2"]) | _words)
    values = st.sampled_from([b"localhost", b"0", b"-1", b"9" * 30, b"chunked", b"close"]) | _words
    headers = draw(st.lists(st.tuples(_names | _words, values), max_size=6))
    lines = [b" ".join((method, target, version)), *(b": ".join(pair) for pair in headers)]
    return b"\r\n".join([*lines, b"", draw(st.binary(max_size=60))])


def test_no_request_stops_the_server_or_prints_anything(server, capfd):
    @hypothesis.settings(max_examples=150, deadline=None, derandomize=True)
    @given(requests())
    def sent(request):
        with socket.create_connection(server.server_address, timeout=20) as client:
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            answer = client.recv(100)
        assert not answer or answer[9:10] in (b"2", b"4")

    sent()
    assert "trials of replayed" in get(server.url)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("no_pauses")
def test_latencies_measured_again_make_new_content(server, run):
    first = content(server)
    trial = run.front()[0]
    with run:
        run.remeasure({trial.number: Remeasured(77.77, 77.0, 78.0, {})}, {"ms": 1.0})
    new = content(server, first["version"])
    assert "77.77" in new["rows"][str(trial.number)]
    assert "77.77" not in first["rows"][str(trial.number)]


def test_a_host_may_come_without_its_port(server):
    assert get(server.url, Host="localhost") == get(server.url)


@pytest.mark.usefixtures("no_pauses")
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
        assert f"from {len(run.trials)} trials of" in get(url)
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
