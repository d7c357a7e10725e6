"""Try once to deliver a callback, and leave alone whoever keeps failing.

Keys     an endpoint is one tenant's scheme, host and port: nobody waits for another tenant's receiver.
Units    seconds; the timestamp of a message is Unix time, everything else counts on a monotonic clock.
Errors   none: whatever happens is an `Outcome`.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from imagemill.jobs.base import Again, Delivered, Gone, Later, Outcome
from imagemill.jobs.endpoints import Endpoints, Place
from imagemill.jobs.webhook import Secrets, sign
from imagemill.model.errors import BadRequest, ImagemillError, Overloaded, SourceForbidden, SourceTimeout
from imagemill.model.job import Delivery
from imagemill.net.guard import Target
from imagemill.settings import Callbacks

SHORT_S = 1.0
"""When to ask again where something of ours has run out."""
_GONE = 410
_TOO_MANY = 429
_FAULT = 500
_FORBIDDEN = "the address is not allowed, or nobody answers there"
"""The same words for blocked, refused and unknown: a tenant reads them."""


class Posts(Protocol):
    """What is needed of the poster."""

    def check(self, url: str) -> Target:
        """Refuse what no change of DNS could allow."""
        ...

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> int:
        """Send one message and give the status of the answer."""
        ...


class Courier:
    """Attempts deliveries, so many at a time, within ``[callbacks]``."""

    def __init__(
        self,
        poster: Posts,
        settings: Callbacks,
        secrets: Mapping[str, Secrets],
        clock: Callable[[], float],
        observe: Callable[[str], None],
        *,
        monotonic: Callable[[], float],
    ) -> None:
        """Hold what is given.

        Args:
            poster: The guarded way out.
            settings: Caps, timeout and breaker.
            secrets: By the names that callbacks give.
            clock: Unix time.
            observe: Told ``delivered``, ``again``, ``gone`` or ``later`` of each attempt.
            monotonic: Counts timeouts and breakers.
        """
        self._poster = poster
        self._timeout_s = settings.timeout_s
        self._secrets = secrets
        self._clock = clock
        self._observe = observe
        self._endpoints = Endpoints(settings, monotonic)

    async def attempt(self, delivery: Delivery, body: bytes) -> Outcome:
        """Send *body* once, signed anew under the same id, or say why not."""
        outcome = await self._attempt(delivery, body)
        self._observe(type(outcome).__name__.lower())
        return outcome

    async def _attempt(self, delivery: Delivery, body: bytes) -> Outcome:
        try:
            target = self._poster.check(delivery.callback.url)
        except (BadRequest, SourceForbidden):
            return Gone("the address may not be called any more")
        secrets = self._secrets.get(delivery.callback.secret)
        if secrets is None:
            return Again(f"no secret is called {delivery.callback.secret}")
        place = self._endpoints.enter(f"{target.scheme}://{target.origin}", delivery.tenant)
        if not isinstance(place, Place):
            return place
        headers = sign(delivery.id, int(self._clock()), body, secrets)
        with place:
            return await self._post(target.url, body, headers, place)

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str], place: Place) -> Outcome:
        try:
            status = await self._poster.post(url, body, headers, self._timeout_s)
        except Overloaded:
            return Later(SHORT_S)  # of ours, and not the receiver's fault
        except ImagemillError as e:
            place.unwell()
            return Again(_reason(e))
        if status == _TOO_MANY or status >= _FAULT:
            place.unwell()
        else:
            place.well()
        return _outcome(status)


def _outcome(status: int) -> Outcome:
    if 200 <= status < 300:  # noqa: PLR2004
        return Delivered(status)
    if status == _GONE:
        return Gone("the receiver wants no more", status)
    return Again("the receiver did not say 2xx", status)


def _reason(error: ImagemillError) -> str:
    match error:
        case SourceForbidden():
            return _FORBIDDEN
        case SourceTimeout():
            return "no answer in time"
    return str(error)
