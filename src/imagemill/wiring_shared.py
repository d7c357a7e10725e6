"""The composition root of what nodes share by Redis: the second level, and purges.

Errors   `SettingsError` where the extra is not installed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from imagemill.cache.purges import Purges
from imagemill.model.errors import SettingsError
from imagemill.settings import Cache, Settings

if TYPE_CHECKING:
    from imagemill.cache.redis import RedisCache
    from imagemill.cache.redis_purges import PurgeFeed


def redis_cache(
    settings: Settings,
    observe: Callable[[str, int], None] = lambda _event, _bytes: None,
    on_state: Callable[[bool, str], None] = lambda _well, _why: None,
) -> "RedisCache":
    """The level that the nodes share, not started; or raise `SettingsError`."""
    with needing("l2.url", "redis"):
        from imagemill.cache.redis import RedisCache  # noqa: PLC0415 - an extra
    return RedisCache(
        settings.l2, stale_s=_stale_s(settings.cache), negative_s=settings.cache.negative_ttl_s, observe=observe,
        on_state=on_state,
    )  # fmt: skip


def _stale_s(cache: Cache) -> int:
    """For how long an entry may be of use after its end."""
    return max(cache.stale_s, cache.stale_if_error_s)


def purge_feed(settings: Settings, purges: Purges, observe: Callable[[str], None] = lambda _: None) -> "PurgeFeed":
    """The stream of purges that the nodes share, not started; or raise `SettingsError`."""
    with needing("l2.url", "redis"):
        from imagemill.cache.redis_purges import PurgeFeed  # noqa: PLC0415 - as above
    return PurgeFeed(settings.l2, purges, observe)


def purges_of(settings: Settings) -> Purges:
    """What is known of purges here; nothing yet."""
    shared = settings.l2
    return Purges(
        shared.purges, blind_s=shared.blind_s if shared.url else None, stale_s=_stale_s(settings.cache)
    )  # fmt: skip


@contextmanager
def needing(setting: str, name: str) -> Iterator[None]:
    """Say how to install what *setting* needs, where an import of it fails."""
    try:
        yield
    except ModuleNotFoundError as e:
        raise SettingsError(f"{setting} needs: pip install 'imagemill[{name}]'") from e
