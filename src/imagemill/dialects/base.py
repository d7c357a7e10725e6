"""What a dialect is: a pure reading of a raw request target."""

from typing import Protocol

from imagemill.model.request import ImageRequest


class Dialect(Protocol):
    """One URL grammar."""

    def parse(self, query: bytes) -> ImageRequest:
        """Read a raw query string, as received and after its signature was taken off.

        Raises:
            BadOption: an option is unknown, repeated or ill-formed.
            BadRequest: anything else is ill-formed.
            LimitExceeded: a well-formed number is beyond policy.
        """
        ...

    def described(self, query: bytes) -> ImageRequest:
        """As `parse`, of a query that asks what there is to be told of a picture."""
        ...
