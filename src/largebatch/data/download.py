"""Files from the mirror, the downloads folder or the net: checked before anyone reads them."""

import gzip
import hashlib
import os
import sys
import textwrap
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urljoin, urlsplit

from largebatch.data.checks import user_path
from largebatch.errors import InputError
from largebatch.storage import atomic

ATTEMPTS = 3
_PACKING = 1 << 20  # bytes by which a packed file may be longer than unpacked
TIMEOUT = 30  # seconds without a byte
# Where a host that a data set lists may send us on to, beside itself.
REDIRECTS = {"github.com": ("codeload.github.com",)}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class RemoteFile:
    """One upstream file.

    Args:
        path: `{dataset}/{upstream file name}`, its place below the mirror and the downloads folder.
        urls: where it is downloaded from, https only, tried in turn; empty where a file must be
            supplied by the user.
        sha256: digest of the **unpacked** bytes: archives are repacked on their way, contents not.
        max_bytes: bound on the unpacked size, so that a wrong file cannot fill the memory.
        packing: "gzip", or None for a file that is used as it is.
        digest: what `sha256` is compared with, from the unpacked bytes: their SHA-256, unless an
            archive's contents are meant. Raises InputError if they are no such archive.
    """

    path: str
    urls: tuple[str, ...]
    sha256: str
    max_bytes: int
    packing: Literal["gzip"] | None = None
    digest: Callable[[bytes], str] = _sha256

    def __post_init__(self):
        for url in self.urls:
            _require_https(url)

    def read(self, path: str | Path) -> bytes:
        """Return the unpacked, checked content of a local copy.

        Raises:
            FileNotFoundError: there is no such file.
            InputError: it is not this file; the message does not name the path.
        """
        if os.path.exists(path) and not os.path.isfile(path):
            raise InputError("cannot be read, it is no regular file")
        try:
            with gzip.open(path) if self.packing == "gzip" else open(path, "rb") as stream:
                content = stream.read(self.max_bytes + 1)
        except FileNotFoundError:
            raise
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"cannot be read, {_reason(error)}") from error
        if len(content) > self.max_bytes:
            raise InputError(f"has more than the {self.max_bytes} bytes expected, unpacked")
        found = self.digest(content)
        if found != self.sha256:
            raise InputError(
                f"wrong content, {len(content)} bytes unpacked with sha256 {found}, "
                f"expected {self.sha256}"
            )
        return content


def fetch(
    file: RemoteFile, *, mirror: str | Path | None = None, downloads: str | Path = "downloads"
) -> bytes:
    """Return the unpacked, checked content of a file: from the mirror, else from `downloads`, else
    from the net (and then kept in `downloads`).

    A file in the mirror that is wrong is an error, as someone put it there on purpose. A broken one
    in `downloads` is downloaded again.

    Raises:
        InputError: wrong file in the mirror, or no right file anywhere; names every place.
    """
    looked: dict[str | Path, str] = {}
    if mirror:
        content = _from_mirror(file, mirror, looked)
        if content is not None:
            return content
    kept = user_path("downloads", str(downloads)).absolute() / file.path
    try:
        return file.read(kept)
    except FileNotFoundError:
        looked[kept] = "absent"
    except InputError as error:
        looked[kept] = str(error)
    for attempt in range(ATTEMPTS if file.urls else 0):
        time.sleep(attempt)
        for url in file.urls:
            try:
                return _download(file, url, kept)
            except (OSError, ValueError) as error:  # requests' errors are OSErrors
                looked[url] = _reason(error)
    places = "; ".join(f"{place} ({why})" for place, why in looked.items())
    raise InputError(
        f"{file.path}: no usable copy found; looked at {places}. To supply it: put it at {kept}, "
        f"or at {file.path} below a mirror folder (key `mirror` or LARGEBATCH_MIRROR)"
    )


def _from_mirror(file: RemoteFile, mirror: str | Path, looked: dict) -> bytes | None:
    """Return the file in the mirror; if it has none, note the place in `looked`, return None."""
    folder = user_path("mirror", str(mirror)).absolute()
    if not os.path.isdir(folder):
        raise InputError(
            f"mirror: {folder} is not a folder; give an existing one (key `mirror` or "
            "LARGEBATCH_MIRROR) or none"
        )
    path = folder / file.path
    try:
        return file.read(path)
    except FileNotFoundError:
        looked[path] = "absent"
        return None
    except InputError as error:
        message = f"{path}: {error}; replace it, or remove it from the mirror"
        raise InputError(message) from error


def _download(file: RemoteFile, url: str, path: Path) -> bytes:
    """Download to a temporary name, check, rename to `path`, and return the content."""
    with atomic(path) as temporary:
        retrieve(url, temporary, file.max_bytes + _PACKING)
        return file.read(temporary)


def retrieve(url: str, path: Path, max_bytes: int) -> None:
    """Download one URL to `path`, with a progress bar on a terminal.

    Args:
        url: where from; redirects are followed over https, to its own host or one of `REDIRECTS`.
        path: where to.
        max_bytes: after so many the download is given up.

    Raises:
        OSError: no answer, an error status, a transfer that ends early or does not end.
        ValueError: a redirect to plain http or to another host.
    """
    import pooch

    host = urlsplit(url).hostname
    hosts = (host, *REDIRECTS.get(host, ()))

    def refuse(response, *args, **kwargs):
        if response.is_redirect:
            _check_redirect(urljoin(response.url, response.headers["location"]), hosts)

    downloader = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=1 << 16,
        timeout=TIMEOUT,
        headers={"Accept-Encoding": "identity"},  # else a server may unpack .gz on the way
        hooks={"response": refuse},
    )
    with open(path, "wb") as stream:
        downloader(url, _Limited(stream, max_bytes), None)


class _Limited:
    """A file to write to that refuses to grow beyond a size: a server may never end."""

    def __init__(self, stream, most: int):
        self._stream, self._most = stream, most

    def write(self, content: bytes) -> int:
        if self._stream.tell() + len(content) > self._most:
            raise OSError(f"more than the {self._most} bytes expected")
        return self._stream.write(content)

    def flush(self) -> None:
        self._stream.flush()


def _check_redirect(url: str, hosts: tuple[str | None, ...]) -> None:
    _require_https(url)
    if urlsplit(url).hostname not in hosts:
        raise ValueError(f"{url}: redirected to another host than {', '.join(map(str, hosts))}")


def _require_https(url: str) -> None:
    if not url.startswith("https://"):
        raise ValueError(f"{url}: only https is allowed")


def _reason(error: Exception) -> str:
    """Say in one short line what went wrong."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP status {response.status_code}"
    if isinstance(error, InputError):
        return str(error)
    if error.args:  # a failed connection: requests wraps urllib3's error, which has the reason
        error = getattr(error.args[0], "reason", error)
    return textwrap.shorten(f"{type(error).__name__}: {error}", 200, placeholder=" ...")
