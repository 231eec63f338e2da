#!/usr/bin/env python3
"""How often a node finds a certificate in its cache: mail to addresses whose popularity falls as 1/rank^s (Zipf).

Usage: caches.py [MESSAGES]     prints the table of docs/scaling.md (default: 400,000 look-ups for each cell)

"least recent": the one not used for longest goes. "all at once": everything goes when the cache is full. A change in the store drops
what the node has, all of it or the one certificate that changed."""
import random
import sys
from collections import OrderedDict


def ranks(addresses, s, random_source):
    """Ranks by the inverse of the (continuous) distribution function."""
    while True:
        u = random_source.random()
        if s == 1:
            yield int(addresses ** u)
        else:
            yield int(((addresses ** (1 - s) - 1) * u + 1) ** (1 / (1 - s)))


def hit_rate(addresses, s, size, policy, change_every, looks):
    source = random.Random(42)
    cache, hits, counted = OrderedDict(), 0, 0
    wanted = ranks(addresses, s, source)
    for number in range(looks):
        rank = next(wanted)
        # The first half fills the cache.
        counted += number >= looks // 2
        if rank in cache:
            hits += number >= looks // 2
            if policy == "least recent":
                cache.move_to_end(rank)
        else:
            if len(cache) >= size:
                cache.popitem(last=False) if policy == "least recent" else cache.clear()
            cache[rank] = True
        if change_every and number % change_every == 0:
            cache.clear()
    return hits / counted


def main():
    looks = int(sys.argv[1]) if len(sys.argv) > 1 else 400_000
    print("| addresses | exponent | records in the cache | full: least recent | full: all at once | all dropped every 1,000 look-ups |")
    print("|---|---|---|---|---|---|")
    for addresses in (10**5, 10**6, 10**7):
        for s in (0.8, 1.0):
            for size in (10_000, 100_000):
                cells = [
                    hit_rate(addresses, s, size, "least recent", 0, looks),
                    hit_rate(addresses, s, size, "all at once", 0, looks),
                    hit_rate(addresses, s, size, "least recent", 1_000, looks),
                ]
                row = " | ".join(f"{cell:.0%}" for cell in cells)
                print(f"| {addresses:,} | {s} | {size:,} | {row} |")


main()
