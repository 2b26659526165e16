"""Twenty files are read a second time against their sources: CONTRIBUTING.md says with what."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import metacart as mc

TABLE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text("utf-8")
SEED, SIZE = "second reading 2026", 20


def sample() -> list[str]:
    """The files whose ids have the lowest hashes: a paper more moves at most one of them."""
    ids = mc.load_studies().ids
    return sorted(
        sorted(ids, key=lambda name: hashlib.sha256(f"{SEED}: {name}".encode()).hexdigest())[:SIZE]
    )


def rows() -> dict[str, list[int]]:
    found = re.findall(r"^\| ([a-z][\w-]*) \|((?: \d+ \|){4})", TABLE, flags=re.MULTILINE)
    return {name: [int(cell) for cell in cells.split("|")[:-1]] for name, cells in found}


def test_every_file_of_the_sample_was_read_again() -> None:
    assert set(sample()) <= set(rows())


def test_confirmed_disagreed_and_lost_add_up() -> None:
    for name, (read, confirmed, disagreed, lost) in rows().items():
        assert read > 0, name
        # a number that was not found again may have been counted as read, or not
        assert confirmed + disagreed <= read <= confirmed + disagreed + lost, name
    sums = [sum(column) for column in zip(*rows().values(), strict=True)]
    assert f"| **sum** | {' | '.join(f'**{number}**' for number in sums)} |" in TABLE
