"""Where a picture comes from."""

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from imagemill.model.errors import ImagemillError, of_layer

_WEB = frozenset({"http", "https"})
_MOST_SHOWN = 100


class SourceRef(Struct, frozen=True):
    """Where a picture comes from: ``scheme`` picks the store, ``address`` is all that store needs.

    ``http``/``https``: the canonical URL. ``local``: ``<store>/<key>``. ``s3``: ``<bucket>/<key>``.
    """

    scheme: str
    address: str

    @property
    def text(self) -> str:
        """How URLs of this service write it."""
        if self.scheme in _WEB:
            return self.address
        return f"{self.scheme}:{'//' if self.scheme == 's3' else ''}{self.address}"

    @property
    def shown(self) -> str:
        """What it is called in messages: short, and without a query, which may hold what is nobody else's."""
        return self.text.partition("?")[0][:_MOST_SHOWN]


@contextmanager
def at_fault(layer: SourceRef) -> Iterator[None]:
    """Let what goes wrong inside name *layer*."""
    try:
        yield
    except ImagemillError as e:
        raise of_layer(e, layer.shown) from e.__cause__
