"""What a dialect is: a pure reading of a raw request target."""

from typing import Protocol

from imagemill.model.client import ANYONE, Client
from imagemill.model.request import ImageRequest, SourceRef


class Dialect(Protocol):
    """One URL grammar."""

    def parse(self, query: bytes, client: Client = ANYONE) -> ImageRequest:
        """Read a raw query string of *client*, as received and after its signature was taken off.

        Raises:
            BadOption: an option is unknown, repeated or ill-formed.
            BadRequest: anything else is ill-formed.
            LimitExceeded: a well-formed number is beyond policy.
        """
        ...

    def described(self, query: bytes) -> ImageRequest:
        """As `parse`, of a query that asks what there is to be told of a picture, whoever asks."""
        ...

    def source(self, value: str) -> SourceRef:
        """The source that *value* names, in whatever spelling.

        Raises:
            BadOption: it names none.
        """
        ...
