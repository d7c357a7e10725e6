"""Run ``imagemill`` with a leak planted: the front keeps a kilobyte of every request, whichever way it is answered."""

import sys

from imagemill import cli
from imagemill.web.record import Record, Repeated

_kept: list[bytes] = []


def _leaking(kind: type[Record] | type[Repeated]) -> None:
    finished = kind.finished

    def leaks(*words: object) -> None:
        _kept.append(bytes(1024))
        finished(*words)  # type: ignore[arg-type]

    kind.finished = leaks  # type: ignore[assignment,method-assign]


_leaking(Record)
_leaking(Repeated)

if __name__ == "__main__":
    sys.exit(cli.main())
