"""What L1 finds: by policy, with and without a short stay for what is asked for once, at several rates.

    python bench/l1.py [minutes]

Time is simulated: requests come at a steady rate, and what is missing is made at once. Keys are asked for by Zipf's law
(exponent 0.9 of 20,000 keys); every seventh request is for something that nobody asks for again. Bodies of 5 to 100 KB,
as many small as large ones. After five minutes: hits in per cent of what could be one (what was not asked for before
cannot), and MB held on average.
"""

import random
import sys
from itertools import accumulate

from imagemill.cache.memory import MemoryCache

KEYS, EXPONENT, ONCE = 20_000, 0.9, 1 / 7
RATES = (2, 20, 200)
SIZES_MB = (64, 512)
LOOK_S, WARM_S = 5.0, 300.0


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def trace(count):
    chance = random.Random(7)
    weights = list(accumulate((n + 1) ** -EXPONENT for n in range(KEYS)))
    popular = chance.choices(range(KEYS), cum_weights=weights, k=count)
    return [f"once {n}" if chance.random() < ONCE else f"{key:064}" for n, key in enumerate(popular)]


def size_of(key):
    return int(5_000 * 20 ** random.Random(key).random())


def replay(keys, sizes, policy, unread_s, rate, size_mb):
    clock, hits, possible, seen, held, looks = Clock(), 0, 0, set(), 0, 0
    cache = MemoryCache(size_mb << 20, 300.0, lambda n: n, policy, unread_s=unread_s, clock=clock)
    looked = 0.0
    for n, key in enumerate(keys):
        clock.now = n / rate
        if clock.now - looked >= LOOK_S:
            looked, looks, held = clock.now, looks + 1, held + cache.used_bytes
        warm = clock.now >= WARM_S
        possible += warm and key in seen
        seen.add(key)
        if cache.get(key, clock.now) is None:
            cache.put(key, sizes[key], clock.now, ttl_s=300)
        else:
            hits += warm
    return f"{100 * hits / possible:5.1f} % {held / max(1, looks) / 1e6:4.0f} MB"


def main():
    seconds = 60 * (int(sys.argv[1]) if len(sys.argv) > 1 else 25)
    keys = trace(max(RATES) * seconds)
    sizes = {key: size_of(key) for key in set(keys)}
    print("| | " + " | ".join(f"{mb} MiB, {rate}/s" for mb in SIZES_MB for rate in RATES) + " |")
    print("|---" * (1 + len(SIZES_MB) * len(RATES)) + "|")
    for policy in ("tiny_lfu", "lru", "fifo"):
        for unread_s in (0.0, 45.0):
            cells = [
                replay(keys[: rate * seconds], sizes, policy, unread_s, rate, mb) for mb in SIZES_MB for rate in RATES
            ]
            print(f"| {policy}{', unread 45 s' if unread_s else ''} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
