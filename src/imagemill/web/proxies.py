"""What is believed of a request's way here: nothing, but where it comes from a proxy that is named in the settings.

``client``       for the log alone: who asks is judged by the connection's own address everywhere else (`web.callers`).
``request id``   ours, unless such a proxy has given one.
Source   RFC 7239 (Forwarded); X-Forwarded-For as proxies write it: each appends the address that it was called from. So
         the list is read from its end, as far as those who wrote it are trusted (threat O09).
"""

import re
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_MOST_FIELD_BYTES = 2_048
_REQUEST_ID = re.compile(rb"[A-Za-z0-9-]{1,64}")
_PORT = r"(?::[0-9]{1,5})?"
_NODE = re.compile(rf"\[([0-9A-Fa-f:.]+)\]{_PORT}|([0-9.]+){_PORT}|([0-9A-Fa-f:.]+)")
_FORWARDED_PAIR = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^";,\s]*)\s*')
Address = IPv4Address | IPv6Address
Headers = Sequence[tuple[bytes, bytes]]


class Proxies:
    """The networks of ``server.trusted_proxies``."""

    def __init__(self, networks: Sequence[str] = ()) -> None:
        self._networks = [ip_network(network) for network in networks]

    def request_id(self, peer: str, headers: Headers) -> str:
        """The id that a trusted *peer* has given this request; empty where it is no such peer, or no such id."""
        given = [value for name, value in headers if name == b"x-request-id"] if self._networks else []
        if len(given) != 1 or not _REQUEST_ID.fullmatch(given[0]) or not self._trusts(_address(peer)):
            return ""
        return given[0].decode("ascii")

    def client(self, peer: str, headers: Headers) -> str:
        """The address of whoever asks: *peer*, or as far as trusted ones tell, whom they were asked by.

        Where the two headers tell two stories, neither is believed: a proxy that writes one passes the other on.
        """
        known = _address(peer) if self._networks else None
        if known is None or not self._trusts(known):
            return peer
        told = {self._farthest(known, nodes) for nodes in _stories(headers)}
        return str(told.pop()) if len(told) == 1 else peer

    def _farthest(self, known: Address, nodes: list[str]) -> Address:
        """Back along *nodes* from the last, until somebody is not trusted or not an address."""
        for node in reversed(nodes):
            told = _node(node)
            if told is None:
                return known
            known = told
            if not self._trusts(known):
                return known
        return known

    def _trusts(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def _stories(headers: Headers) -> Iterator[list[str]]:
    """The ways that the headers tell, farthest first: one of each kind of header that is there."""
    for name, read in ((b"x-forwarded-for", _listed), (b"forwarded", _forwarded)):
        values = [value for key, value in headers if key == name]
        if values:
            text = b",".join(values).decode("latin-1")
            yield read(text[-_MOST_FIELD_BYTES:])  # what is trusted stands at the end


def _listed(text: str) -> list[str]:
    return [node.strip(" \t") for node in text.split(",")]


def _forwarded(text: str) -> list[str]:
    """The ``for`` of each element; what is ill-formed is an element that nothing is known of."""
    nodes, at = [""], 0
    while at < len(text):
        pair = _FORWARDED_PAIR.match(text, at)
        if pair is None:
            nodes[-1] = "unknown"
        elif pair[1].lower() == "for":
            nodes[-1] = pair[2].strip('"')
        at = pair.end() if pair else at
        if text[at : at + 1] == ",":
            nodes.append("")
        elif pair is None or text[at : at + 1] not in {"", ";"}:
            return ["unknown"]
        at += 1
    return nodes


def _node(text: str) -> Address | None:
    """An address, with or without a port; None for names, ``unknown`` and hidden ones."""
    found = _NODE.fullmatch(text)
    return _address(found[1] or found[2] or found[3]) if found else None


def _address(text: str) -> Address | None:
    """*text* as an address; IPv4 that IPv6 carries is IPv4."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
