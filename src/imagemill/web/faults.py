"""What ends a connection: an error of its client's, and under which name it is counted."""

from imagemill.model.errors import ImagemillError


class Fault(Exception):
    """Stops the parser; *error* is the connection's last answer."""

    def __init__(self, error: ImagemillError, reason: str) -> None:
        super().__init__(reason)
        self.error = error
        self.reason = reason
