"""Where a picture comes from."""

from msgspec import Struct


class SourceRef(Struct, frozen=True):
    """Where a picture comes from: ``scheme`` picks the store, ``address`` is all that store needs.

    ``http``/``https``: the canonical URL. ``local``: ``<store>/<key>``. ``s3``: ``<bucket>/<key>``.
    """

    scheme: str
    address: str
