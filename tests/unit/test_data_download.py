"""Files from mirror, downloads and net: what is found, checked, retried, named."""

import gzip
import hashlib
import random
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from largebatch.data import download
from largebatch.data.download import RemoteFile, fetch
from largebatch.errors import InputError

CONTENT = random.Random(0).randbytes(4400)
PACKED = gzip.compress(CONTENT)
FIRST, SECOND = "https://one.example/toy/digits.gz", "https://two.example/toy/digits.gz"


def toy(**changes) -> RemoteFile:
    parts = {
        "path": "toy/digits.gz",
        "urls": (FIRST, SECOND),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "max_bytes": len(CONTENT),
        "packing": "gzip",
    }
    return RemoteFile(**parts | changes)


@pytest.fixture
def net(monkeypatch):
    """A net whose answers to each URL are given in order; the last one is repeated."""
    answers: dict[str, list] = {FIRST: [OSError("no route")], SECOND: [OSError("no route")]}
    asked: list[str] = []

    def retrieve(url, path, max_bytes):
        asked.append(url)
        answer = answers[url].pop(0) if len(answers[url]) > 1 else answers[url][0]
        if isinstance(answer, tuple):  # some bytes, then a failure
            path.write_bytes(answer[0])
            answer = answer[1]
        if isinstance(answer, Exception):
            raise answer
        path.write_bytes(answer)

    monkeypatch.setattr(download, "retrieve", retrieve)
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)
    answers["asked"] = asked
    return answers


def put(folder, content: bytes):
    path = folder / "toy" / "digits.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def failure(file: RemoteFile, **places) -> str:
    with pytest.raises(InputError) as error:
        fetch(file, **places)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_mirror_comes_first_and_nothing_is_written(net, tmp_path):
    put(tmp_path / "mirror", PACKED)
    assert fetch(toy(), mirror=tmp_path / "mirror", downloads=tmp_path / "kept") == CONTENT
    assert net["asked"] == []
    assert not (tmp_path / "kept").exists()


def test_another_gzip_wrapping_of_the_same_bytes_is_accepted(net, tmp_path):
    put(tmp_path, gzip.compress(CONTENT[:900], 1) + gzip.compress(CONTENT[900:], 9))
    assert fetch(toy(), mirror=tmp_path, downloads=tmp_path / "kept") == CONTENT


def test_a_file_that_is_not_packed_is_used_as_it_is(net, tmp_path):
    put(tmp_path, CONTENT)
    assert fetch(toy(packing=None), mirror=tmp_path, downloads=tmp_path / "kept") == CONTENT


def test_a_wrong_file_in_the_mirror_is_named_and_the_net_not_asked(net, tmp_path):
    net[FIRST] = [PACKED]
    path = put(tmp_path / "mirror", gzip.compress(b"other digits"))
    message = failure(toy(), mirror=tmp_path / "mirror", downloads=tmp_path / "kept")
    assert str(path) in message
    assert hashlib.sha256(b"other digits").hexdigest() in message
    assert hashlib.sha256(CONTENT).hexdigest() in message
    assert net["asked"] == []


@pytest.mark.parametrize(
    "content",
    [PACKED[:-20], b"<html>sign in</html>", b"", PACKED + b"tail"],
    ids=["truncated", "not gzip", "empty", "trailing bytes"],
)
def test_a_broken_archive_in_the_mirror_is_named(net, tmp_path, content):
    path = put(tmp_path, content)
    message = failure(toy(), mirror=tmp_path, downloads=tmp_path / "kept")
    assert message.startswith(f"{path}: ")
    assert net["asked"] == []


def test_unpacking_stops_at_the_bound(net, tmp_path):
    # Reading on would meet the broken end of the file and say so instead.
    put(tmp_path, gzip.compress(CONTENT + random.Random(1).randbytes(1 << 20))[:-8])
    message = failure(toy(), mirror=tmp_path, downloads=tmp_path / "kept")
    assert f"more than the {len(CONTENT)} bytes" in message


def test_a_mirror_without_the_file_leads_on_to_the_net(net, tmp_path):
    net[FIRST] = [PACKED]
    (tmp_path / "mirror").mkdir()
    assert fetch(toy(), mirror=tmp_path / "mirror", downloads=tmp_path / "kept") == CONTENT
    assert (tmp_path / "kept" / "toy" / "digits.gz").read_bytes() == PACKED


def test_a_mirror_that_is_no_folder_is_an_error(net, tmp_path):
    message = failure(toy(), mirror=tmp_path / "nowhere", downloads=tmp_path)
    assert message.startswith(f"mirror: {tmp_path / 'nowhere'} is not a folder")


def test_a_download_is_kept_and_not_repeated(net, tmp_path):
    net[FIRST] = [PACKED]
    assert fetch(toy(), downloads=tmp_path) == CONTENT
    assert fetch(toy(), downloads=tmp_path) == CONTENT
    assert net["asked"] == [FIRST]


def test_a_second_url_helps(net, tmp_path):
    net[SECOND] = [PACKED]
    assert fetch(toy(), downloads=tmp_path) == CONTENT
    assert net["asked"] == [FIRST, SECOND]


def test_a_passing_failure_is_retried(net, tmp_path):
    net[FIRST] = [requests.ConnectionError("reset"), requests.Timeout("slow"), PACKED]
    assert fetch(toy(urls=(FIRST,)), downloads=tmp_path) == CONTENT
    assert net["asked"] == [FIRST] * 3


@pytest.mark.parametrize(
    "answer",
    [PACKED[:100], (PACKED[:100], requests.ConnectionError("reset")), b"<html></html>"],
    ids=["short", "interrupted", "another page"],
)
def test_half_a_file_is_not_kept(net, tmp_path, answer):
    net[FIRST] = [answer]
    failure(toy(), downloads=tmp_path)
    assert list((tmp_path / "toy").iterdir()) == []


def test_a_truncated_download_of_earlier_is_fetched_again(net, tmp_path):
    path = put(tmp_path, PACKED[:100])
    net[FIRST] = [PACKED]
    assert fetch(toy(), downloads=tmp_path) == CONTENT
    assert path.read_bytes() == PACKED


def test_without_a_net_every_place_and_the_ways_to_supply_it_are_named(net, tmp_path):
    (tmp_path / "mirror").mkdir()
    kept = put(tmp_path / "kept", PACKED[:100])
    net[SECOND] = [gzip.compress(b"other digits")]
    message = failure(toy(), mirror=tmp_path / "mirror", downloads=tmp_path / "kept")
    assert f"{tmp_path / 'mirror' / 'toy' / 'digits.gz'} (absent)" in message
    assert f"{kept} (cannot be read, EOFError" in message
    assert f"{FIRST} (OSError: no route)" in message
    assert f"{SECOND} (wrong content, 12 bytes unpacked with sha256" in message
    assert "key `mirror` or LARGEBATCH_MIRROR" in message
    assert net["asked"] == [FIRST, SECOND] * 3


def test_a_file_without_urls_must_be_supplied(net, tmp_path):
    message = failure(toy(urls=()), downloads=tmp_path)
    assert f"{tmp_path / 'toy' / 'digits.gz'} (absent)" in message
    assert put(tmp_path, PACKED)
    assert fetch(toy(urls=()), downloads=tmp_path) == CONTENT


def test_plain_http_is_refused():
    with pytest.raises(ValueError, match=r"http://one\.example/digits\.gz: only https"):
        toy(urls=("http://one.example/digits.gz",))


class _Server(BaseHTTPRequestHandler):
    """`/whole`, `/half` (the connection ends early), `/away` (to plain http), else 404."""

    def do_GET(self):
        self.send_response({"/away": 302, "/missing": 404}.get(self.path, 200))
        if self.path == "/away":
            self.send_header("Location", "/whole")
        length = len(PACKED) if self.path in ("/whole", "/half") else 0
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if length:
            with suppress(OSError):
                self.wfile.write(PACKED if self.path == "/whole" else PACKED[:-10])

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_pooch_retrieves_the_exact_bytes(server, tmp_path):
    download.retrieve(f"{server}/whole", tmp_path / "digits.gz", len(PACKED))
    assert (tmp_path / "digits.gz").read_bytes() == PACKED


def test_a_transfer_that_ends_early_is_an_error(server, tmp_path):
    with pytest.raises(OSError, match="IncompleteRead"):
        download.retrieve(f"{server}/half", tmp_path / "digits.gz", 1 << 20)


def test_a_redirect_to_plain_http_is_refused(server, tmp_path):
    with pytest.raises(ValueError, match="/whole: only https is allowed"):
        download.retrieve(f"{server}/away", tmp_path / "digits.gz", 1 << 20)


def test_a_missing_page_is_named_by_its_status(server, tmp_path):
    with pytest.raises(OSError, match="404") as error:
        download.retrieve(f"{server}/missing", tmp_path / "digits.gz", 1 << 20)
    assert download._reason(error.value) == "HTTP status 404"


def test_an_endless_transfer_is_given_up(server, tmp_path):
    with pytest.raises(OSError, match="more than the 1000 bytes expected"):
        download.retrieve(f"{server}/whole", tmp_path / "digits.gz", 1000)
    assert (tmp_path / "digits.gz").stat().st_size <= 1000


@pytest.mark.parametrize(
    ("start", "to", "allowed"),
    [
        ("https://github.com/a", "https://codeload.github.com/a", True),
        ("https://github.com/a", "https://github.com/b", True),
        ("https://github.com/a", "https://github.com.other.example/a", False),
        ("https://github.com/a", "https://github.com@other.example/a", False),
        ("https://one.example/a", "https://codeload.github.com/a", False),
        ("https://one.example/a", "http://one.example/a", False),
        ("https://one.example/a", "file:///etc/passwd", False),
    ],
)
def test_redirects_lead_to_listed_hosts_only(monkeypatch, tmp_path, start, to, allowed):
    """The hook that pooch's downloader is given, with an answer that redirects."""
    import pooch

    class Answer:
        is_redirect, url, headers = True, start, {"location": to}

    def downloader(**options):
        return lambda url, file, _: options["hooks"]["response"](Answer())

    monkeypatch.setattr(pooch, "HTTPDownloader", downloader)
    if allowed:
        download.retrieve(start, tmp_path / "f", 10)
    else:
        with pytest.raises(ValueError, match=r"only https|another host"):
            download.retrieve(start, tmp_path / "f", 10)


def test_the_hosts_of_all_data_sets_are_these():
    from importlib import import_module
    from urllib.parse import urlsplit

    from largebatch.data.registry import SOURCES

    found = set()
    for module in map(import_module, SOURCES.values()):
        files = [getattr(module, "FILE", None), *getattr(module, "FILES", {}).values()]
        found |= {urlsplit(url).hostname for file in files if file for url in file.urls}
    assert found == {
        "github.com",
        "ossci-datasets.s3.amazonaws.com",
        "storage.googleapis.com",
        "www.cs.toronto.edu",
    }
