"""A worker whose engine touches the source and makes one byte: what is left is the hand-over."""

from collections.abc import Iterator

from imagemill.engines import worker
from imagemill.model.media import Format, Rendition


class Null:
    """Reads every page of its source, decodes nothing."""

    def __init__(self, *_: object) -> None:
        pass

    def run(self, source: memoryview, _info: object, tasks: tuple, _layers: object) -> Iterator[Rendition]:
        for _ in tasks:
            yield Rendition(bytes([sum(source[::4096]) & 0xFF]), Format.JPEG, "0" * 40, 1, 1)


def main(*fds: int) -> None:
    worker.main(*fds, engine=Null)
