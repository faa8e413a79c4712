"""Connections that dawdle, swell or break off: each ends in time, and the server answers everybody else."""

import http.client
import json
import socket
import time

import pytest
from tests_of_serving import listening

from twofold.serve.live import Live
from twofold.serve.settings import Settings


@pytest.fixture(scope="module")
def port(models, tmp_path_factory):
    """A server that waits half a second for a request."""
    state = tmp_path_factory.mktemp("wire") / "state"
    told = Settings(state=str(state), model=str(models / "good"), timeout=0.5)
    with listening(Live.open(told)) as found:
        yield found


def said(port, *parts, pause=0.0):
    """Send parts over a connection of its own; return the status and the error, and how long it took."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        for part in parts:
            try:
                line.sendall(part)
            except OSError:
                break
            time.sleep(pause)
        answer = b""
        try:
            while more := line.recv(65536):
                answer += more
        except ConnectionResetError:
            pass
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head[9:12]), json.loads(body)["error"]["code"], time.monotonic() - began


def alive(port):
    """Say that somebody else is answered."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    line.request("GET", "/health")
    status = line.getresponse().status
    line.close()
    return status == 200


HEAD = b"POST /events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


@pytest.mark.parametrize(
    ("parts", "status", "code"),
    [
        ([b""], 408, "slow_head"),
        ([b"POST /ev"], 408, "slow_head"),
        ([HEAD], 408, "slow_head"),
        ([HEAD, *[b"x-a: b\r\n"] * 30], 408, "slow_head"),
        ([HEAD + b"content-length: 50\r\n\r\n", b"{"], 408, "slow_body"),
        ([HEAD + b"content-length: 50\r\n\r\n", *[b" "] * 30], 408, "slow_body"),
        ([HEAD + b"transfer-encoding: chunked\r\n\r\n", *[b"1\r\n \r\n"] * 30], 408, "slow_body"),
    ],
)  # fmt: skip
def test_who_dawdles_is_told_and_let_go(port, parts, status, code):
    found, why, seconds = said(port, *parts, pause=0.05)
    assert (found, why) == (status, code)
    assert seconds < 5
    assert alive(port)


def test_a_head_without_end(port):
    found, why, _ = said(port, HEAD, *[b"x-a: " + b"b" * 8000 + b"\r\n"] * 20)
    assert (found, why) == (431, "large_head")
    assert alive(port)


def test_many_who_dawdle_keep_nobody_waiting(port):
    held = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(200)]
    for one in held:
        one.sendall(HEAD)
    began = time.monotonic()
    assert alive(port)
    assert time.monotonic() - began < 2
    for one in held:
        while one.recv(4096):
            pass
        one.close()


def test_a_connection_that_is_kept_may_pause_between_requests(port):
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    for pause in (0, 0.8, 0):
        time.sleep(pause)
        line.request("POST", "/recommend", b'{"user": 101}', {"content-type": "application/json"})
        answer = line.getresponse()
        answer.read()
        assert answer.status == 200
    line.close()


def test_who_leaves_in_the_middle_leaves_nothing(port):
    for part in (HEAD, HEAD + b"content-length: 50\r\n\r\n{"):
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
                line.sendall(part)
    assert alive(port)


def test_a_page_of_another_site_gets_no_leave(port):
    """Cross-origin requests are not allowed: no answer names an allowed origin, asked before or not."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    for method, path in (("OPTIONS", "/events"), ("GET", "/models"), ("POST", "/recommend")):
        line.request(
            method, path, b"" if method == "GET" else b"{}", {"content-type": "text/plain", **asked}
        )
        answer = line.getresponse()
        answer.read()
        assert not [one for one in answer.headers if one.lower().startswith("access-control")]
        assert answer.status in ((200,) if method == "GET" else (405, 415))
    line.close()


def test_a_client_that_sends_far_too_much_comes_to_read_why(port):
    """Cut off while it sends, it would see a broken connection and no answer."""
    body = b'{"user": "' + b"a" * 10_000_000 + b'"}'
    for told in ({"content-length": str(len(body))}, {"transfer-encoding": "chunked"}):
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        parts = (body[at : at + 500_000] for at in range(0, len(body), 500_000))
        headers = {"content-type": "application/json", **told}
        line.request(
            "POST", "/recommend", parts, headers, encode_chunked="content-length" not in told
        )
        answer = line.getresponse()
        assert (answer.status, json.loads(answer.read())["error"]["code"]) == (413, "too_large")
        line.close()


def test_a_client_that_asks_before_it_sends_is_refused_at_once(port):
    head = b"POST /recommend HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10000000\r\nexpect: 100-continue\r\n\r\n"
    status, code, _ = said(port, head)
    assert (status, code) == (413, "too_large")
