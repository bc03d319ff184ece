"""Splits by group: clips of one source video never lie on both sides of a split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from paxion.records import SPLITS, PaxionError, Split


def fraction(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but the parts: the same on every machine, in every order of rows."""
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def draw_split(group: str, shares: tuple[float, float, float] = (0.8, 0.1, 0.1), seed: int = 0) -> Split:
    """The split of a group, drawn by a hash of its name: train, val and test get the given shares of the groups.

    Raises PaxionError when the shares are negative or do not add up to 1.
    """
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise PaxionError(f"got shares {', '.join(f'{share:g}' for share in shares)}, expected three that add up to 1")
    place = fraction("split", seed, group)
    train, val, _ = shares
    return "train" if place < train else "val" if place < train + val else "test"


@dataclass
class GroupSplits:
    """Which splits the rows of each group are in. Finds the groups that cross."""

    seen: dict[str, int] = field(default_factory=dict)
    """Group to its splits, one bit each."""

    def add(self, group: str, split: Split) -> None:
        """Note a row."""
        self.seen[group] = self.seen.get(group, 0) | 1 << SPLITS.index(split)

    def crossing(self) -> list[str]:
        """The groups with rows in more than one split."""
        return [group for group, bits in self.seen.items() if bits & (bits - 1)]


def check_groups(groups: Iterable[str]) -> None:
    """Raise PaxionError when groups cross splits, naming some of them."""
    crossing = list(groups)
    if crossing:
        some = ", ".join(map(repr, crossing[:3]))
        raise PaxionError(
            f"got {len(crossing)} source videos in more than one split ({some}...), expected each in one: "
            "give --resplit to draw the splits by source video, or --split to put all rows in one"
        )
