"""Download a file that a user named by URL, without becoming a door into the private network.

The host is looked up once; the address that was judged is the one that is connected to, so a name that changes its
address in between (DNS rebinding) gains nothing. Each redirect starts over.
"""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import BinaryIO
from urllib.parse import urljoin

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse
from urllib3.util import Url, parse_url

from app.errors import InvalidInput, TooLarge

MOST_REDIRECTS = 5
REDIRECTS = frozenset([301, 302, 303, 307, 308])
CHUNK_BYTES = 64 * 1024
LONGEST_URL = 4096
HEADERS = {"User-Agent": "deephealth-backend", "Accept-Encoding": "identity"}
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # all that IANA has opened: whatever else exists is special

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Lookup = Callable[[str, int], list[str]]


def look_up(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host as texts."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def fetch(
    url: str, *, limit_bytes: int, timeout_seconds: float, allowed_hosts: Collection[str], lookup: Lookup = look_up
) -> bytes:
    """Return the content behind an http or https URL; see `fetch_into`."""
    content = BytesIO()
    fetch_into(
        content,
        url,
        limit_bytes=limit_bytes,
        timeout_seconds=timeout_seconds,
        allowed_hosts=allowed_hosts,
        lookup=lookup,
    )
    return content.getvalue()


def fetch_into(
    target: BinaryIO,
    url: str,
    *,
    limit_bytes: int,
    timeout_seconds: float,
    allowed_hosts: Collection[str],
    lookup: Lookup = look_up,
) -> None:
    """Write the content behind an http or https URL into a file.

    Args:
        target: takes it; what is in there after an error is of no use.
        url: of the user's.
        limit_bytes: the most that is read.
        timeout_seconds: for everything together, redirects included.
        allowed_hosts: host names that may have private addresses; `host:port` allows one port.
        lookup: finds the addresses of a host.

    Raises:
        InvalidInput: with one sentence why the URL cannot be used.
        TooLarge: if there are more than `limit_bytes`.
    """
    deadline = time.monotonic() + timeout_seconds
    address = url
    for _ in range(MOST_REDIRECTS + 1):
        parts = _parse(address)
        host_address = _public_address(parts, allowed_hosts, lookup)
        with _response(parts, host_address, deadline) as response:
            if response.status not in REDIRECTS:
                _write_body(target, response, address, limit_bytes)
                return
            address = _redirect_target(response, address)
    raise InvalidInput(f"The URL {url!r} redirects more than {MOST_REDIRECTS} times.")


def _parse(url: str) -> Url:
    if len(url) > LONGEST_URL or any(ord(character) < 33 or ord(character) == 127 for character in url):
        raise InvalidInput(f"The URL {url[:80]!r} is longer than {LONGEST_URL} characters or holds blanks.")
    try:
        parts = parse_url(url)
    except (HTTPError, ValueError) as error:
        raise InvalidInput(f"{url!r} is not a URL that can be read.") from error
    if parts.scheme not in ("http", "https") or not parts.host:
        raise InvalidInput(f"{url!r} cannot be fetched; a URL that begins with http:// or https:// is expected.")
    if parts.auth is not None:
        raise InvalidInput("A URL with a user name or a password in it is not fetched, for it would be stored.")
    return parts


def _public_address(parts: Url, allowed_hosts: Collection[str], lookup: Lookup) -> str:
    """Return one address of the host; every address has to be public unless the host is allowed."""
    host = _host(parts)
    try:
        addresses = lookup(host, _port(parts))
    except (OSError, UnicodeError) as error:
        raise InvalidInput(f"The host {host!r} is not known: its name has no address.") from error
    if not addresses:
        raise InvalidInput(f"The host {host!r} is not known: its name has no address.")
    allowed = {name.casefold() for name in allowed_hosts}
    if host.casefold() not in allowed and f"{host}:{_port(parts)}".casefold() not in allowed:
        private = [address for address in addresses if not is_public(address)]
        if private:
            raise InvalidInput(
                f"The host {host!r} lies in a private network and is not fetched from; "
                "whoever runs the service can allow it in the setting URL_HOSTS."
            )
    return addresses[0]


def is_public(address_text: str) -> bool:
    """Tell whether an IP address, or the IPv4 address inside of an IPv6 one, belongs to the public internet."""
    try:
        address: Address = ipaddress.ip_address(address_text.partition("%")[0])
    except ValueError:
        return False
    return all(_is_open(inner) for inner in _with_embedded(address))


def _is_open(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in GLOBAL_UNICAST and address not in NAT64:
        return False
    return address.is_global and not address.is_multicast


def _with_embedded(address: Address) -> Iterator[Address]:
    if not isinstance(address, ipaddress.IPv6Address):
        yield address
    elif address.ipv4_mapped:
        yield address.ipv4_mapped
    else:
        yield address
        if address.sixtofour:
            yield address.sixtofour
        if address in NAT64:
            yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


def _host(parts: Url) -> str:
    return (parts.host or "").strip("[]")


def _port(parts: Url) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


@contextmanager
def _response(parts: Url, address: str, deadline: float) -> Iterator[BaseHTTPResponse]:
    """Ask for the URL at one address; a watchdog closes the connection when the time is over."""
    left_seconds = deadline - time.monotonic()
    if left_seconds <= 0:
        raise InvalidInput(f"The URL {parts.url!r} took too long.")
    connection = _connection(parts, address, left_seconds)
    sockets: list[socket.socket] = []
    watchdog = threading.Timer(left_seconds, _hang_up, [connection, sockets])
    watchdog.daemon = True
    watchdog.start()
    try:
        connection.connect()
        sockets.append(connection.sock)  # the connection forgets it when the server announces that it will close
        connection.request(
            "GET", parts.request_uri, headers={"Host": parts.netloc or "", **HEADERS}, preload_content=False
        )
        yield connection.getresponse()
        if time.monotonic() >= deadline:  # what was read may end where the watchdog hung up
            raise InvalidInput(f"The URL {parts.url!r} took too long.")
    except (HTTPError, OSError, ValueError) as error:
        if time.monotonic() >= deadline:
            raise InvalidInput(f"The URL {parts.url!r} took too long.") from error
        reason = "its certificate is not trusted" if isinstance(error, ssl.SSLError) else "the connection failed"
        raise InvalidInput(f"The URL {parts.url!r} cannot be fetched: {reason}.") from error
    finally:
        watchdog.cancel()
        connection.close()


def _connection(parts: Url, address: str, timeout_seconds: float) -> HTTPConnection:
    if parts.scheme == "http":
        return HTTPConnection(address, _port(parts), timeout=timeout_seconds)
    context = ssl.create_default_context()
    return HTTPSConnection(
        address, _port(parts), timeout=timeout_seconds, ssl_context=context, server_hostname=_host(parts)
    )


def _hang_up(connection: HTTPConnection, sockets: list[socket.socket]) -> None:
    """End a read that waits: a timeout of the socket starts anew with every byte that drips in."""
    for waiting in {connection.sock, *sockets} - {None}:
        with suppress(OSError):
            waiting.shutdown(socket.SHUT_RDWR)


def _redirect_target(response: BaseHTTPResponse, url: str) -> str:
    location = response.headers.get("Location")
    if not location:
        raise InvalidInput(f"The server of {url!r} answered {response.status}, a redirect to nowhere.")
    return urljoin(url, location)


def _write_body(target: BinaryIO, response: BaseHTTPResponse, url: str, limit_bytes: int) -> None:
    if response.status != 200:
        raise InvalidInput(f"The server of {url!r} answered {response.status} {response.reason or ''}".rstrip() + ".")
    if response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        raise InvalidInput(f"The server of {url!r} sent the content compressed though it was not asked to.")
    length = response.headers.get("Content-Length", "")
    size = 0
    while True:
        if size > limit_bytes or (length.isdigit() and len(length) < 20 and int(length) > limit_bytes):
            raise TooLarge(f"The URL {url!r} holds more than {limit_bytes:,} bytes, the most that is fetched.")
        chunk = response.read1(CHUNK_BYTES)
        if not chunk:
            return
        size += len(chunk)
        target.write(chunk)
