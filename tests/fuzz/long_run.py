"""Fuzz the decoder for long: `python tests/fuzz/long_run.py 1000000 [seed]`.

Prints how many requests got which status, and every kind of breakage once.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter


async def run(count: int, seed: int) -> int:
    # Here: pytest imports this file too, to look for doctests, and knows it by another name.
    from mutator import BrokenError, Mutator, Target

    mutator = Mutator(seed)
    broken: Counter[str] = Counter()
    started = time.perf_counter()
    with Target() as target:
        for number in range(1, count + 1):
            made = mutator.make()
            try:
                await target.ask(made)
            except BrokenError as error:
                kind = str(error)[:40]
                broken[kind] += 1
                if broken[kind] == 1:
                    print(f"BROKEN {error}"[:2000], flush=True)
            if number % 100_000 == 0:
                print(f"{number:>9} after {time.perf_counter() - started:.0f} s", flush=True)
    print("\nstatus     count")
    for status, times in sorted(target.counts.items()):
        print(f"{status:<6} {times:>9}")
    print(f"broken {sum(broken.values()):>9}")
    return 1 if broken else 0


if __name__ == "__main__":
    how_many = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    which = int(sys.argv[2]) if len(sys.argv) > 2 else 20260131
    raise SystemExit(asyncio.run(run(how_many, which)))
