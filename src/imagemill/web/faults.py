"""What ends a connection: an error of its client's, and under which name it is counted.

Source   RFC 9112 section 3.2 (Host).
"""

from collections.abc import Sequence

from imagemill.model.errors import BadRequest, ImagemillError, LimitExceeded, TargetTooLong
from imagemill.settings import Server
from imagemill.web.targets import authority_of

_VERSIONS = frozenset({"1.0", "1.1"})


class Fault(Exception):
    """Stops the parser; *error* is the connection's last answer."""

    def __init__(self, error: ImagemillError, reason: str) -> None:
        super().__init__(reason)
        self.error = error
        self.reason = reason


def of_head(version: str, url: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Fault | None:
    """What is wrong with a head that is one: its version, or whom it is for."""
    if version not in _VERSIONS:
        return Fault(BadRequest("HTTP/1.1 is spoken here"), "malformed")
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        return Fault(BadRequest(f"{len(hosts)} Host headers; HTTP/1.1 wants one"), "malformed")
    if hosts and authority_of(url) not in {b"", hosts[0].lower()}:  # or whoever judges one is led by the other
        return Fault(BadRequest("the target and Host name two hosts"), "malformed")
    return None


def of_length(url: bytes, own: Server) -> Fault:
    """What a head is that is too long for *own*: its target, or all of it."""
    if len(url) > own.max_target_bytes:
        return Fault(TargetTooLong(f"target: more than {own.max_target_bytes} bytes"), "target")
    return Fault(BadRequest(f"head: more than {own.max_head_bytes} bytes"), "head")


def of_body(most_bytes: int, setting: str) -> Fault:
    """That a body is larger than *most_bytes*, which *setting* says, where one does."""
    words = f"body: more than {most_bytes} bytes"
    return Fault(LimitExceeded(setting, words) if setting else BadRequest(words), "body")
