"""How fast foils are made, on one core: captions a second, each caption different so that no cache helps.

    python benchmarks/foils.py [--spacy]

Prints the rate of each part, of all together with the rules, and with --spacy of all with spaCy's tags.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterator

from paxion.actionbench.antonyms import antonym
from paxion.actionbench.build import with_foils
from paxion.actionbench.objects import learn_vocabulary, replace_object
from paxion.actionbench.reversals import reversal
from paxion.actionbench.tagging import load_tagger
from paxion.records import Sample

SUBJECTS = ("#C C", "#O The man X", "a woman", "")
VERBS = ("open", "close", "pick up", "put down", "take", "lift", "push", "pull", "fold", "cut", "wash", "turn on")
ADJECTIVES = ("red", "small", "wooden", "blue", "large", "white", "green", "plastic")
NOUNS = ("cup", "drawer", "box", "towel", "knife", "bottle", "book", "plate", "lid", "bag", "door", "pan", "phone")
ENDS = ("", " on the table", " from the shelf", " with the left hand", " in the kitchen", " next to the sink")


def captions() -> Iterator[str]:
    for subject, verb, adjective, noun, end in itertools.product(SUBJECTS, VERBS, ADJECTIVES, NOUNS, ENDS):
        head, _, particle = verb.partition(" ")
        form = (head + "s" if not head.endswith(("h", "s")) else head + "es") if subject else head
        yield f"{subject} {form} {particle} the {adjective} {noun}{end}".replace("  ", " ").strip()


def rate(name: str, texts: list[str], function: Callable[[str], object]) -> None:
    for text in texts[:50]:
        function(text)
    start = time.process_time()
    for text in texts[50:]:
        function(text)
    print(f"{name:32} {(len(texts) - 50) / (time.process_time() - start):9,.0f} captions a second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spacy", action="store_true", help="also with spaCy's tags")
    options = parser.parse_args()
    texts = list(dict.fromkeys(captions()))
    vocabulary = learn_vocabulary((text, None) for text in texts)
    print(f"{len(texts)} different captions, CPU seconds of one core")
    rate("antonym", texts, antonym)
    rate("reversal", texts, reversal)
    rate("object replacement", texts, lambda text: replace_object(text, vocabulary, key=text))

    def row(text: str) -> Sample:
        return Sample(text, "v.mp4", text, "test", text)

    rate("all foils of a row, rules", texts, lambda text: with_foils(row(text), vocabulary))
    if options.spacy:
        tagger, name = load_tagger("spacy")
        rate(
            f"all foils of a row, {name.split()[0]}",
            texts[:4000],
            lambda text: with_foils(row(text), vocabulary, tagger=tagger),
        )


if __name__ == "__main__":
    main()
