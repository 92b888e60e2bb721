"""Downloads from a real server on the loopback, and the refusals that keep the private network private."""

import gzip
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest
from waiting import PATIENCE_SECONDS

from app.datasets.sources.fetch import fetch, is_public
from app.errors import InvalidInput, TooLarge


class Library(BaseHTTPRequestHandler):
    """Answers by path; remembers the Host headers it was asked with."""

    hosts: list[str]

    def do_GET(self):
        self.server.hosts.append(self.headers["Host"])
        name, _, rest = self.path.strip("/").partition("/")
        getattr(self, f"send_{name}", self.send_nothing)(rest)

    def send_bytes(self, count):
        self.answer(200, b"x" * int(count), {"Content-Length": count})

    def send_endless(self, _):
        self.send_response(200)
        self.end_headers()
        while not self.server.is_stopping.is_set():
            self.wfile.write(b"x" * 1000)

    def send_drip(self, _):
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        while not self.server.is_stopping.wait(0.05):
            self.wfile.write(b"x")

    def send_openend(self, _):
        self.send_response(200)
        self.end_headers()
        while not self.server.is_stopping.wait(0.05):
            self.wfile.write(b"x")

    def send_headerdrip(self, _):
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
        while not self.server.is_stopping.wait(0.05):
            self.wfile.write(b"x")

    def send_short(self, _):
        self.answer(200, b"half", {"Content-Length": "8"})

    def send_packed(self, _):
        self.answer(200, gzip.compress(b"x" * 10_000_000), {"Content-Encoding": "gzip"})

    def send_to(self, target):
        self.answer(302, b"", {"Location": unquote(target)})

    def send_loop(self, _):
        self.answer(301, b"", {"Location": "/loop"})

    def send_nowhere(self, _):
        self.answer(302, b"", {})

    def send_nothing(self, _):
        self.answer(404, b"no", {})

    def answer(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def handle(self):
        with suppress(ConnectionError):  # clients hang up on what is too long or too slow
            super().handle()

    def log_message(self, *_):
        """Keep the test's output clean."""


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Library)
    server.hosts, server.is_stopping = [], threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    yield server
    server.is_stopping.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def get(server):
    def get(path, limit_bytes=100_000, timeout_seconds=PATIENCE_SECONDS, allowed_hosts=("127.0.0.1",), **more):
        url = path if path.startswith("http") else f"http://127.0.0.1:{server.server_port}/{path}"
        limits = {"limit_bytes": limit_bytes, "timeout_seconds": timeout_seconds, "allowed_hosts": allowed_hosts}
        return fetch(url, **limits, **more)

    return get


def test_content_up_to_the_limit_is_returned(get):
    assert get("bytes/100000") == b"x" * 100_000
    with pytest.raises(TooLarge, match="more than 100,000 bytes"):
        get("bytes/100001")


def test_endless_content_is_left(get):
    with pytest.raises(TooLarge):
        get("endless")


@pytest.mark.parametrize("path", ["drip", "openend", "headerdrip"])
def test_slow_server_is_left_when_the_time_is_over(get, path):
    with pytest.raises(InvalidInput, match="took too long"):
        get(path, timeout_seconds=0.5)  # and nothing else ends it


def test_silent_server_is_left_when_the_time_is_over(get):
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(InvalidInput, match="took too long"):
        get(f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout_seconds=0.5)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("absent", "answered 404 Not Found"),
        ("short", "the connection failed"),
        ("packed", "compressed though it was not asked to"),
        ("loop", "redirects more than 5 times"),
        ("nowhere", "a redirect to nowhere"),
        ("to/file:///etc/passwd", "http:// or https:// is expected"),
        ("to/http://[::1]:1/", "private network"),
        ("to/http://10.1.2.3/", "private network"),
        ("to/http://u:p@example.com/", "a user name or a password"),
    ],
)
def test_answer_that_cannot_be_used_is_refused(get, path, said):
    with pytest.raises(InvalidInput, match=said):
        get(path)


def test_redirect_is_followed(get, server):
    assert get(f"to/http://127.0.0.1:{server.server_port}/bytes/3") == b"xxx"
    assert get("to//bytes/3") == b"xxx"


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/",
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0.0.0.0/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://100.64.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[fe80::1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://224.0.0.1/",
    ],
)
def test_private_addresses_are_refused_in_any_spelling(url):
    with pytest.raises(InvalidInput, match=r"private network|is not known|not a URL"):
        fetch(url, limit_bytes=10, timeout_seconds=2, allowed_hosts=())


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/x",
        "file:///etc/passwd",
        "example.com/x",
        "",
        "http://",
        "http://a b/",
        "http://[::1/",
        "x:y\n",
    ],
)
def test_what_is_no_http_url_is_refused(url):
    with pytest.raises(InvalidInput):
        fetch(url, limit_bytes=10, timeout_seconds=2, allowed_hosts=())


def test_public_and_private_addresses_are_told_apart():
    assert is_public("8.8.8.8")
    assert is_public("2001:4860:4860::8888")
    assert is_public("::ffff:8.8.8.8")
    assert not is_public("::ffff:224.0.0.1")
    assert not is_public("fd00::1")
    for special in ("fec0::1", "::7f00:1", "64:ff9b:1::7f00:1", "::ffff:0:7f00:1", "5f00::1", "::1", "2002:7f00:1::"):
        assert not is_public(special), special
    assert not is_public("::ffff:10.0.0.1")
    assert not is_public("no address")


def test_one_private_address_among_public_ones_is_enough_to_refuse(get):
    with pytest.raises(InvalidInput, match="private network"):
        get("http://lab.example/", allowed_hosts=(), lookup=lambda host, port: ["8.8.8.8", "127.0.0.1"])


def test_the_judged_address_is_the_one_connected_to(get, server):
    """The name is looked up once; a second answer of the name server would not be asked for."""
    asked = []

    def lookup(host, port):
        asked.append((host, port))
        return ["127.0.0.1"]

    url = f"http://lab.example:{server.server_port}/bytes/3"
    assert get(url, allowed_hosts=["LAB.example"], lookup=lookup) == b"xxx"
    assert asked == [("lab.example", server.server_port)]
    assert server.hosts == [f"lab.example:{server.server_port}"]


def test_host_may_be_allowed_for_one_port(get, server):
    assert get("bytes/1", allowed_hosts=[f"127.0.0.1:{server.server_port}"]) == b"x"
    with pytest.raises(InvalidInput, match="private network"):
        get("bytes/1", allowed_hosts=["127.0.0.1:1"])


def test_closed_port_is_told(get):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # so nobody else can take the port, and without listening nobody is let in
        with pytest.raises(InvalidInput, match="the connection failed"):
            get(f"http://127.0.0.1:{closed.getsockname()[1]}/")


@pytest.fixture
def https_server(server, tmp_path, monkeypatch):
    """Speak TLS with a certificate for lab.example that this process trusts."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command makes the certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    request = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=lab.example"
    names = ["-addext", "subjectAltName=DNS:lab.example", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*request.split(), *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return server


def test_certificate_is_judged_by_the_name_in_the_url(get, https_server):
    places = {"lookup": lambda host, port: ["127.0.0.1"], "allowed_hosts": ["lab.example", "other.example"]}
    assert get(f"https://lab.example:{https_server.server_port}/bytes/3", **places) == b"xxx"
    with pytest.raises(InvalidInput, match="its certificate is not trusted"):
        get(f"https://other.example:{https_server.server_port}/bytes/3", **places)


def test_https_to_a_server_without_tls_fails(get, server):
    with pytest.raises(InvalidInput, match="cannot be fetched"):
        get(f"https://127.0.0.1:{server.server_port}/")
