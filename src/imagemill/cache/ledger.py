"""Find out what became of the entries this node stored: pure, with the clock and the dice given.

Redis lets go of what nobody reads without a word. Whoever stored an entry looks once more when it could be gone: gone
before the end of its life means that it was swept, or had to make room.

Units    Unix seconds; bytes.
Errors   none.
"""

import heapq
from collections.abc import Callable

from msgspec import Struct

MOST = 50_000


class Note(Struct, frozen=True):
    """One entry, and when to look for it."""

    due_s: float
    key: str
    entry_bytes: int
    ends_s: float
    """When it would be gone in any case."""
    weight: int = 1
    """How many entries it stands for."""


class Ledger:
    """Notes of at most *most* entries; beyond that of every second, fourth, … of them, each standing for as many."""

    def __init__(self, dice: Callable[[], float], most: int = MOST) -> None:
        self._dice = dice
        self._most = most
        self._weight = 1
        self._notes: dict[str, Note] = {}
        self._heap: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._notes)

    def note(self, key: str, entry_bytes: int, due_s: float, ends_s: float) -> None:
        """Remember what was stored just now; what was noted of *key* before is forgotten."""
        self._notes.pop(key, None)
        if self._weight == 1 or self._dice() * self._weight < 1:
            self._add(Note(due_s, key, entry_bytes, ends_s, self._weight))
            if len(self._notes) > self._most:
                self._thin()

    def due(self, now_s: float, most: int = 1000) -> list[Note]:
        """Take out what is to be looked for by now, the longest due first."""
        found: list[Note] = []
        while self._heap and self._heap[0][0] <= now_s and len(found) < most:
            due_s, key = heapq.heappop(self._heap)
            note = self._notes.get(key)
            if note is not None and note.due_s == due_s:
                del self._notes[key]
                found.append(note)
        return found

    def seen(self, note: Note, due_s: float) -> None:
        """It is still there, until *due_s* at least: look again then, unless it was stored anew meanwhile."""
        if note.key not in self._notes:
            self._add(Note(due_s, note.key, note.entry_bytes, note.ends_s, note.weight))

    def _add(self, note: Note) -> None:
        self._notes[note.key] = note
        heapq.heappush(self._heap, (note.due_s, note.key))
        if len(self._heap) > 2 * self._most + 16:
            self._rebuild()

    def _thin(self) -> None:
        self._weight *= 2
        kept = [n for n in self._notes.values() if self._dice() < 0.5]  # noqa: PLR2004 - a coin
        self._notes = {n.key: Note(n.due_s, n.key, n.entry_bytes, n.ends_s, n.weight * 2) for n in kept}
        self._rebuild()

    def _rebuild(self) -> None:
        self._heap = [(n.due_s, n.key) for n in self._notes.values()]
        heapq.heapify(self._heap)


def swept(note: Note, now_s: float, slack_s: float = 1.0) -> bool:
    """Whether *note*'s entry, gone by now, went before its time."""
    return now_s < note.ends_s - slack_s
