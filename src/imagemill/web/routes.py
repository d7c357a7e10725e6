"""Which handler answers which path and method: whole paths by one look-up, those with variable parts by comparing."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

from msgspec import Struct

from imagemill.web.problems import Reply, Stream
from imagemill.web.request import Call

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Handler = Callable[[Call, Receive], Awaitable[Reply | Stream | None]]

_OPTIONS = "OPTIONS"


class Route(Struct, frozen=True):
    """A method, a path, and who answers. A segment in braces stands for any but an empty one; GET answers HEAD, too."""

    method: str
    path: str
    handler: Handler


class Resource(Struct, frozen=True):
    """All that one path answers to."""

    allowed: tuple[str, ...]
    handlers: Mapping[str, Handler]


class Routes:
    """All routes of a port. A whole path goes before one with variable segments."""

    def __init__(self, routes: Iterable[Route]) -> None:
        by_path: dict[str, dict[str, Handler]] = {}
        for route in routes:
            methods = ("GET", "HEAD") if route.method == "GET" else (route.method,)
            by_path.setdefault(route.path, {}).update(dict.fromkeys(methods, route.handler))
        resources = {path: _resource(handlers) for path, handlers in by_path.items()}
        self._whole = {path: found for path, found in resources.items() if "{" not in path}
        self._variable = [(path.split("/"), found) for path, found in resources.items() if "{" in path]

    def find(self, call: Call) -> Resource | None:
        """What answers a call's path; the variable segments are left in ``call.parts``."""
        found = self._whole.get(call.path)
        if found is not None:
            return found
        segments = call.path.split("/")
        for pattern, resource in self._variable:
            if len(pattern) == len(segments) and _same(pattern, segments):
                call.parts = tuple(s for p, s in zip(pattern, segments, strict=True) if p[:1] == "{")
                return resource
        return None


def _resource(handlers: Mapping[str, Handler]) -> Resource:
    """``OPTIONS`` is always allowed; where it has no handler, `web.app` answers it."""
    return Resource((*(method for method in handlers if method != _OPTIONS), _OPTIONS), handlers)


def _same(pattern: list[str], segments: list[str]) -> bool:
    return all(bool(s) if p[:1] == "{" else p == s for p, s in zip(pattern, segments, strict=True))
