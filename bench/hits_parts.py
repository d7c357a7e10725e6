"""Where the microseconds of a hit go: see `hits.py`."""


def parts():
    """Print them."""
