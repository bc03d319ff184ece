"""How often our antonym is the counterfactual that VITATECS publishes, where that exchanges one word.

    python benchmarks/vitatecs_direction.py PATH/Direction.jsonl [--tagger rules|spacy] [--differences 20]

Prints the share, what the others are, and the commonest differences: word of the caption, published word, our text.
"""

from __future__ import annotations

import argparse
import difflib
from collections import Counter
from pathlib import Path

from paxion.actionbench.antonyms import antonym
from paxion.actionbench.tagging import load_tagger
from paxion.data.rows import BadRow
from paxion.data.vitatecs import read_vitatecs
from paxion.evaluation.ngrams import words


def swapped(caption: str, foil: str) -> tuple[str, str] | None:
    """The word of the caption and the word of the foil, where nothing else differs."""
    a, b = words(caption), words(foil)
    changes = [
        change for change in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes() if change[0] != "equal"
    ]
    if len(changes) != 1 or changes[0][2] - changes[0][1] != 1 or changes[0][4] - changes[0][3] != 1:
        return None
    return a[changes[0][1]], b[changes[0][3]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--tagger", default="rules")
    parser.add_argument("--differences", type=int, default=20)
    options = parser.parse_args()
    tagger, name = load_tagger(options.tagger)
    pairs = equal = none = made = everywhere = rows = 0
    differences: Counter[tuple[str, str, str]] = Counter()
    for sample in read_vitatecs(options.path, split="test"):
        if isinstance(sample, BadRow) or sample.antonym is None:
            continue
        rows += 1
        text = antonym(sample.caption, tagger=tagger).text
        same = text is not None and words(text) == words(sample.antonym)
        made += text is not None
        everywhere += same
        swap = swapped(sample.caption, sample.antonym)
        if swap is None:
            continue
        pairs += 1
        equal += same
        none += text is None
        if not same:
            ours = swapped(sample.caption, text) if text else None
            differences[*swap, f"{ours[0]} -> {ours[1]}" if ours else "none" if text is None else "other words"] += 1
    print(
        f"{options.path.name}, tagger {name}: {rows} pairs, "
        f"{made} get an antonym, {everywhere} equal the published text"
    )
    print(
        f"one-word swaps: {pairs}; ours is the same text in {equal} ({100 * equal / pairs:.1f} %), "
        f"another one in {pairs - equal - none}, none in {none}"
    )
    for (word, published, ours), count in differences.most_common(options.differences):
        print(f"  {count:3} {word} -> {published}; ours: {ours}")


if __name__ == "__main__":
    main()
