"""How large the blocks of a plan should be, on paper: a billion windows on many machines.

    python benches/blocks.py [--windows 1e9] [--machines 500] [--rate 800] [--fail 0.02]

Says for each size of a block how many files there are, how long listing them takes, what the small files beside the parts
and the merged ledger hold, and what is lost: by machines that fail (half of a block each, on average) and at the end, when
some machines still have a block to do and others none. Measured are a line of the ledger (350 bytes) and a window in a
part (2,100 bytes: two vectors of 256 numbers in 32 bits, and where it lies; benches/scenes.py). Assumed are listings of
1,000 names a request and 0.1 s a request, as stores have them, and speeds of machines that differ by a tenth.
"""

import argparse
import random


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--windows", type=float, default=1e9)
    parser.add_argument("--machines", type=int, default=500)
    parser.add_argument("--rate", type=float, default=800, help="windows a second of one machine")
    parser.add_argument("--fail", type=float, default=0.02, help="failures of a machine an hour")
    parser.add_argument("--row", type=float, default=2100, help="bytes of a window in a part")
    options = parser.parse_args()
    ideal = options.windows / options.machines / options.rate / 3600
    print(f"{options.windows:.0e} windows, {options.machines} machines of {options.rate:.0f} windows/s: {ideal:.2f} h\n")
    print("| block | blocks | files | a part | listing | ledger | lost by failures | waiting at the end |")
    print("|---|---|---|---|---|---|---|---|")
    for block in (1_000, 10_000, 100_000, 1_000_000):
        blocks = options.windows / block
        files = 2 * blocks
        listing = files / 1000 * 0.1
        failures = options.fail * ideal * options.machines
        lost = failures * block / 2 / options.rate / 3600 / (ideal * options.machines)
        waiting = ends(blocks, options.machines, block / options.rate)
        print(f"| {block:,} | {blocks:,.0f} | {files:,.0f} | {block * options.row / 1e6:,.1f} MB | {listing:,.0f} s "
              f"| {blocks * 350 / 1e6:,.1f} MB | {100 * lost:.3f} % | {waiting / 60:,.1f} min |")


def ends(blocks, machines, seconds):
    """When each machine does its own share of blocks, whose times differ by a tenth: the last one's wait for the others."""
    random.seed(7)
    share = -(-blocks // machines)
    slow = [random.gauss(1, 0.1) for _ in range(machines)]
    return (max(slow) - sum(slow) / machines) * share * seconds + seconds


if __name__ == "__main__":
    main()
