"""The antonyms of WordNet 3.0 between verbs, as the table src/paxion/actionbench/lexicon/wordnet.tsv.

    python benchmarks/derive_wordnet.py > new.tsv        # Debian and Ubuntu: apt install wordnet-base
    python benchmarks/derive_wordnet.py --wordnet ~/WordNet-3.0/dict > new.tsv

What WordNet says is derived anew (columns senses, symmetric, also, gloss); what a person decided (keep, reversal, why)
is taken from the present table. A pair that nobody has judged gets "?". The files are read as wndb(5) describes them.
"""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tyro

TABLE = Path(__file__).parents[1] / "src/paxion/actionbench/lexicon/wordnet.tsv"
FILES = ("data.verb", "index.verb", "index.noun", "index.adj", "cntlist.rev")
COLUMNS = ("verb", "antonym", "keep", "reversal", "why", "senses", "symmetric", "also", "gloss")
HEADER = """\
# Antonyms between verbs in WordNet 3.0, Copyright 2006 by Princeton University, used under the licence in
# WORDNET_LICENSE. Derived by benchmarks/derive_wordnet.py, except keep, reversal and why: our judgement of each pair.
# keep: yes = for actions that a clip can show, the antonym takes the verb's place, nothing else changes, and the
# opposite results. At most one antonym of a verb is kept. Several words are joined by "_". It holds for the bare verb
# only: with a particle (heat up), or with from, to, onto, into, out or off, it may mean or need something else.
# reversal: yes = the clip played backwards shows the antonym; same = it still shows the verb; no = neither, or that is
# uncertain; - = not kept.
# why: what the two differ in, or why the pair is not kept. "one way": the antonym does not lead back to the verb.
# senses: number of the verb's sense : number of the antonym's. symmetric: yes = WordNet has the pointer back, too.
# also: other parts of speech in which WordNet's texts have the word at least as often.
# gloss: what the verb means in the first of the senses.
"""
GLOSS = 60


@dataclass(frozen=True)
class Synset:
    words: list[str]
    pointers: list[tuple[str, str, str, str]]
    """(symbol, offset, part of speech, source and target word as four hexadecimal digits)"""
    gloss: str


@dataclass(frozen=True)
class Derive:
    wordnet: Path = Path("/usr/share/wordnet")
    """The folder of WordNet's database files."""
    table: Path = TABLE
    """The judged table."""


def main(args: Derive) -> None:
    missing = [name for name in FILES if not (args.wordnet / name).is_file()]
    if missing:
        sys.exit(
            f"{args.wordnet} lacks {', '.join(missing)}: "
            "install WordNet 3.0 (apt install wordnet-base) or name its dict folder with --wordnet"
        )
    judged = {(row[0], row[1]): row[2:5] for row in read_rows(args.table)} if args.table.is_file() else {}
    if args.table.is_file() and not judged:
        sys.exit(f"{args.table} is empty, and the judgements are read from it: restore it and write to another file")
    derived = derive(args.wordnet)
    sys.stdout.write(HEADER + "# " + "\t".join(COLUMNS) + "\n")
    for pair, facts in derived.items():
        sys.stdout.write("\t".join([*pair, *judged.pop(pair, ["?", "?", "?"]), *facts]) + "\n")
    for verb, antonym in judged:
        print(f"not in this WordNet, left out: {verb}, {antonym}", file=sys.stderr)


def read_rows(path: Path) -> Iterator[list[str]]:
    """The cells of the lines of a table; comments are left out."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return (line.split("\t") for line in lines if line and not line.startswith("#"))


def derive(wordnet: Path) -> dict[tuple[str, str], list[str]]:
    """(verb, antonym) to [senses, symmetric, also, gloss], sorted."""
    synsets = read_synsets(wordnet / "data.verb")
    senses = read_senses(wordnet / "index.verb")
    others = {"noun": read_senses(wordnet / "index.noun"), "adj": read_senses(wordnet / "index.adj")}
    counts = read_counts(wordnet / "cntlist.rev")
    found: dict[tuple[str, str], list[tuple[int, int, str]]] = defaultdict(list)
    for offset, synset in synsets.items():
        for symbol, target, part, words in synset.pointers:
            if symbol == "!" and part == "v":
                verb = synset.words[int(words[:2], 16) - 1]
                antonym = synsets[target].words[int(words[2:], 16) - 1]
                found[verb, antonym].append((senses[verb][offset], senses[antonym][target], synset.gloss))
    table = {}
    for (verb, antonym), pairs in sorted(found.items()):
        also = [part for part, index in others.items() if verb in index and counts[verb][part] >= counts[verb]["verb"]]
        table[verb, antonym] = [
            ",".join(f"{one}:{other}" for one, other, _ in sorted(pairs)),
            "yes" if (antonym, verb) in found else "no",
            " ".join(also) or "-",
            shorten(min(pairs)[2]),
        ]
    return table


def read_synsets(path: Path) -> dict[str, Synset]:
    """Synsets by offset, from a data file of wndb(5)."""
    synsets = {}
    for line in lines(path):
        fields, gloss = line.split(" | ", 1)
        offset, _, _, count, *rest = fields.split()
        size = 2 * int(count, 16)
        pointers = rest[size + 1 : size + 1 + 4 * int(rest[size])]
        synsets[offset] = Synset(
            words=[word.lower() for word in rest[:size:2]],
            pointers=list(zip(pointers[::4], pointers[1::4], pointers[2::4], pointers[3::4], strict=True)),
            gloss=gloss.strip(),
        )
    return synsets


def read_senses(path: Path) -> dict[str, dict[str, int]]:
    """Word to {offset of a synset: number of the sense}, from an index file of wndb(5)."""
    senses = {}
    for line in lines(path):
        word, _, count, *rest = line.split()
        senses[word] = {offset: number for number, offset in enumerate(rest[-int(count) :], start=1)}
    return senses


def read_counts(path: Path) -> dict[str, Counter[str]]:
    """Word to how often it is tagged as which part of speech, from cntlist.rev (cntlist(5))."""
    parts = {"1": "noun", "2": "verb", "3": "adj", "4": "adv", "5": "adj"}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for line in lines(path):
        key, _, count = line.split()
        word, _, code = key.rpartition("%")
        counts[word][parts[code[0]]] += int(count)
    return counts


def lines(path: Path) -> Iterator[str]:
    """The lines of a file of WordNet without its licence, whose lines begin with two spaces."""
    with path.open(encoding="latin-1") as file:
        yield from (line for line in file if not line.startswith("  "))


def shorten(gloss: str) -> str:
    """The definition without its examples, cut at a word."""
    definition = re.split(r';\s*"', gloss)[0].strip()
    return definition if len(definition) <= GLOSS else definition[: GLOSS - 3].rsplit(" ", 1)[0].rstrip(",;") + " ..."


if __name__ == "__main__":
    main(tyro.cli(Derive, description=__doc__))
