"""What the readers of all families share."""

Buffer = bytes | memoryview
MAX_CHUNKS = 20_000
"""So many parts of a file are looked at before its pictures."""
