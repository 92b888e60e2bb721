"""Which addresses only this machine reaches, and what may not be bound to any other without a token."""

import ipaddress
import socket
from collections.abc import Iterable

from app.access.tokens import Tokens
from app.errors import ConfigurationError


def is_loopback(host: str) -> bool:
    """Tell whether a host, as an address or a name, is this machine and nothing else."""
    try:
        return _is_loopback_address(host)
    except ValueError:
        pass
    try:
        addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False
    return bool(addresses) and all(map(_is_loopback_address, addresses))


def names_this_machine(host: str) -> bool:
    """Tell whether a host is a loopback address or `localhost`, by its text alone: names can be made to lie."""
    if host.casefold() == "localhost":
        return True
    try:
        return _is_loopback_address(host)
    except ValueError:
        return False


def refuse_exposure(hosts: Iterable[str], tokens: Tokens) -> None:
    """Refuse to listen where other machines come in while nobody needs a token.

    Raises:
        ConfigurationError: naming the host, and what to do.
    """
    open_hosts = [host for host in hosts if not is_loopback(host)]
    if open_hosts and not tokens.exist():
        raise ConfigurationError(
            f"To listen on {open_hosts[0] or 'all addresses'} lets other machines in, and there is no token yet; "
            "make one with dht token create NAME, or leave HOST at 127.0.0.1."
        )


def _is_loopback_address(text: str) -> bool:
    address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
