"""Action antonyms: the caption with what happens in it turned into its opposite, or the reason why there is none.

The published benchmark looked verbs up one by one and replaced every occurrence of their letters. Here the words that
carry the direction are found first (verb, particle, preposition, the two ends of a motion), and only they are changed,
by their place in the caption.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise

from paxion.actionbench.classes import ADVERBS, BE, CATENATIVES, COMPOUNDS, COORDINATORS, DETERMINERS, PREPOSITIONS
from paxion.actionbench.inflection import inflect
from paxion.actionbench.lexicon import Contrast, Lexicon, load_lexicon, word_class
from paxion.actionbench.matching import EntryMatch, Match, NoMatch, match_verb
from paxion.actionbench.paths import DirectionMatch, EndsMatch
from paxion.actionbench.sequences import pick_and_place
from paxion.actionbench.tags import Verb
from paxion.actionbench.turning import edits_of, exchanged_ends, turned_direction
from paxion.actionbench.verbs import Tagger, find_verbs, lexicon_forms
from paxion.actionbench.words import Edit, Word, apply_edits, find_phrase, like, split_words

POSTURES = word_class("postures")


@dataclass(frozen=True, slots=True)
class Foil:
    """An antonym, or the reason why there is none."""

    text: str | None
    note: str
    """What was changed and why; or why nothing could be."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a caption is understood: what is to be turned round in it."""

    words: list[Word]
    turned: tuple[Match, ...] = ()
    """Verbs to turn round. Empty: see `contrast`, `moved`, `why`."""
    contrast: tuple[Contrast, int] | None = None
    """A wording of how it ends, with the index of its first word."""
    moved: tuple[Edit, ...] = ()
    """Edits that turn round a whole sequence of picking and placing."""
    why: str = ""
    """Why nothing can be turned round."""
    same: bool = False
    """The reversed clip shows the same, as far as the caption tells."""
    others: bool = False
    """Something else happens, too, that is not turned round."""
    verbs: tuple[str, ...] = ()
    """Base forms of the verbs found, those that say what happens first."""


def antonym(caption: str, *, objects: Sequence[str] | None = None, tagger: Tagger | None = None) -> Foil:
    """The caption with its action turned round.

    objects: phrases of the caption that name objects, so that no word of theirs is taken for a verb.
    tagger: gives Penn tags for words, to find verbs that the rules miss.
    Never gives the caption itself, nor a caption of something else: text is None when there is no good antonym.
    """
    return foil_of(caption, read_caption(caption, objects=objects, tagger=tagger))


def foil_of(caption: str, reading: Reading) -> Foil:
    """The same, of a caption that has been read."""
    text = antonym_of(caption, reading)
    if text is None or " ".join(text.casefold().split()) == " ".join(caption.casefold().split()):
        return Foil(None, reading.why or "turned round, the caption reads the same")
    return Foil(text, explain(caption, reading))


def read_caption(caption: str, *, objects: Sequence[str] | None = None, tagger: Tagger | None = None) -> Reading:
    """Find what is to be turned round in a caption."""
    lexicon = load_lexicon()
    words = _masked(split_words(caption), objects)
    verbs = find_verbs(words, tagger)
    names = tuple(verb.verb for verb in sorted(verbs, key=lambda verb: (verb.verb in CATENATIVES, not verb.main)))
    first = _contrast(words, lexicon, first=True)
    if first is not None:
        return Reading(words, contrast=first, why=first[0].why if first[0].opposite is None else "", verbs=names)
    matches = [match_verb(words, verb, lexicon) for verb in verbs]
    if len(verbs) > 1 or (verbs and verbs[0].verb in ("wear", "dress")):
        matches = [_event(words, verb, match) for verb, match in zip(verbs, matches, strict=True)]
    sequence = pick_and_place(caption, words, verbs, lexicon)
    if sequence:
        return Reading(words, moved=tuple(sequence), others=len(verbs) > 2, verbs=names)
    both = _both_ways(words, verbs, matches)
    if both:
        return Reading(words, why=both, same=True, verbs=names)
    turned = _chosen(words, verbs, matches)
    if turned:
        left = [match for match in matches if match not in turned and match.verb.main]
        others = any(match.verb.verb not in CATENATIVES | POSTURES | {"be", "have", "do"} for match in left)
        return Reading(words, tuple(turned), others=others, verbs=names)
    last = _contrast(words, lexicon, first=False)
    if last is not None:
        return Reading(words, contrast=last, verbs=names)
    plain = [match for match in matches if isinstance(match, NoMatch) and match.verb.verb not in ("be", "have", "do")]
    reasons = dict.fromkeys(match.why for match in plain or matches if isinstance(match, NoMatch))
    same = bool(plain) and all(match.same for match in plain)
    return Reading(words, why="; ".join(reasons) or "no verb that is known", same=same, verbs=names)


def antonym_of(caption: str, reading: Reading) -> str | None:
    """The caption with everything that was found turned into its opposite."""
    edits = list(reading.moved)
    if reading.contrast is not None:
        contrast, at = reading.contrast
        if contrast.opposite is None:
            return None
        start, end = reading.words[at].start, reading.words[at + len(contrast.words) - 1].end
        if contrast.opposite.startswith(","):
            start = len(caption[:start].rstrip(" "))
        edits.append(Edit(start, end, contrast.opposite))
    for match in reading.turned:
        edits += edits_for(caption, reading.words, match)
        edits += states(reading.words, match)
    return apply_edits(caption, edits) if edits else None


def edits_for(caption: str, words: Sequence[Word], match: Match) -> list[Edit]:
    """The edits that turn one match into its opposite."""
    if isinstance(match, EntryMatch):
        assert match.entry.opposite is not None
        return edits_of(words, match, match.entry.opposite)
    if isinstance(match, DirectionMatch):
        return [turned_direction(words, match)]
    if isinstance(match, EndsMatch):
        return exchanged_ends(words, match, caption)
    return []


def states(words: Sequence[Word], match: Match) -> list[Edit]:
    """ "close the open drawer" becomes "open the closed drawer": the state before the action changes with it."""
    if not isinstance(match, EntryMatch) or match.entry.opposite is None or match.spans:
        return []
    verb, opposite = match.verb.verb, match.entry.opposite.verb
    if " " in opposite:
        return []
    state, other = (form if form != "opened" else "open" for form in (inflect(opposite, "VBN"), inflect(verb, "VBN")))
    edits = []
    for before, word in pairwise(words):
        if word.low == state and before.low in DETERMINERS:
            edits.append(Edit(word.start, word.end, like(word.text, other)))
            if before.low in ("a", "an"):
                article = "an" if other[0] in "aeiou" else "a"
                edits.append(Edit(before.start, before.end, like(before.text, article)))
    return edits


def explain(caption: str, reading: Reading) -> str:
    """What was changed and why, in one line."""
    if reading.moved:
        return "picking and placing turned round"
    if reading.contrast is not None:
        contrast, _ = reading.contrast
        return f'"{" ".join(contrast.words)}" -> "{(contrast.opposite or "").strip()}" ({contrast.why})'
    parts = []
    for match in reading.turned:
        if isinstance(match, EntryMatch):
            way = "" if match.entry.symmetric else ", one way"
            wordnet = ", WordNet" if match.entry.source == "wordnet" else ""
            parts.append(f'"{match.entry.frame}" -> "{match.entry.opposite}" ({match.entry.why}{way}{wordnet})')
        elif isinstance(match, DirectionMatch):
            old = " ".join(match.direction.words)
            parts.append(f'"{match.verb.verb} … {old}" -> "{match.direction.opposite}" ({match.direction.why})')
        elif isinstance(match, EndsMatch):
            parts.append(f'the two ends of "{match.verb.verb}" exchanged')
    return "; ".join(dict.fromkeys(parts))


def _chosen(words: Sequence[Word], verbs: Sequence[Verb], matches: Sequence[Match]) -> list[Match]:
    """The matches to turn round: all main verbs; without one, the first other. A verb's repetition goes along."""
    possible = [not isinstance(match, NoMatch) for match in matches]
    for at in range(len(verbs) - 1, -1, -1):
        # "starts opening": the opening is turned round, not the start.
        if (
            (verbs[at].verb in CATENATIVES or verbs[at].verb == "get")
            and _hands_over(words, verbs, at)
            and any(possible[at + 1 : at + 3])
        ):
            possible[at] = False
    taught = [at for at in range(len(verbs)) if possible[at] and _taught(words, verbs[at])][:1]
    events = [at for at, match in enumerate(matches) if possible[at] and not _background(match)]
    chosen = taught or [at for at in events if verbs[at].main] or events[:1]
    chosen = chosen or [at for at, _ in enumerate(verbs) if possible[at]][:1]
    turned = {verbs[at].verb for at in chosen}
    return [matches[at] for at, verb in enumerate(verbs) if at in chosen or (possible[at] and verb.verb in turned)]


def _event(words: Sequence[Word], verb: Verb, match: Match) -> Match:
    """The match, unless the verb only tells how somebody looks: "a man wearing a hat", "soldiers dressed in black"."""
    before = words[verb.at - 1].low if verb.at else ""
    adjunct = verb.tag in ("VBG", "VBN") and verb.at > 0 and before not in BE and before not in COORDINATORS
    if _background(match) and ((adjunct and before not in ADVERBS) or not verb.main):
        return NoMatch(verb, f'"{verb.verb}" tells how somebody looks or stays')
    return match


def _taught(words: Sequence[Word], verb: Verb) -> bool:
    """ "shows how to open": what is shown is the opening."""
    return verb.tag == "VB" and verb.at > 1 and [word.low for word in words[verb.at - 2 : verb.at]] == ["how", "to"]


def _background(match: Match) -> bool:
    """Whether a verb tells how somebody looks or is placed while something happens: "a man wearing a hat opens"."""
    return (
        isinstance(match, EntryMatch)
        and match.verb.verb in POSTURES
        and not any(place in ("up", "down", "+up", "+down") for place in match.entry.frame.places)
    )


def _hands_over(words: Sequence[Word], verbs: Sequence[Verb], at: int) -> bool:
    """Whether the next verb is what this one starts, tries or pretends."""
    if at + 1 >= len(verbs):
        return False
    following = verbs[at + 1]
    between = [word.low for word in words[verbs[at].at + 1 : following.at]]
    if verbs[at].verb in ("let", "make", "help"):
        return following.tag == "VB" and len(between) <= 5
    if verbs[at].verb == "get":
        return following.tag == "VB" and bool(between) and between[-1] == "to"
    plain = [
        word
        for word in between
        if word not in ADVERBS and word not in ("to", "or", "and", "but", "be", "being", "on", "by")
    ]
    return following.tag in ("VBG", "VB") and not plain


def _both_ways(words: Sequence[Word], verbs: Sequence[Verb], matches: Sequence[Match]) -> str | None:
    """Why a caption that names a verb and its opposite with one object has no antonym: "opening and closing a door"."""
    for (one, match), (two, _) in pairwise(zip(verbs, matches, strict=True)):
        opposite = match.entry.opposite if isinstance(match, EntryMatch) else None
        between = {word.low for word in words[one.at + 1 : two.at]}
        if opposite is not None and opposite.verb == two.verb and between <= COORDINATORS - {"then"}:
            return f'"{one.verb}" and "{two.verb}" name both directions'
    return None


def _contrast(words: Sequence[Word], lexicon: Lexicon, first: bool) -> tuple[Contrast, int] | None:
    present = {word.low for word in words}
    for contrast in lexicon.contrasts:
        if contrast.first == first and contrast.words[0] in present and contrast.words[-1] in present:
            at = find_phrase(words, contrast.words, 0, len(words))
            if at is not None:
                return contrast, at
    return None


def _masked(words: list[Word], objects: Sequence[str] | None) -> list[Word]:
    """The words with those hidden that only look like verbs or directions: they belong to the name of an object."""
    known = _known_forms()
    masked = list(words)
    present = {word.low for word in words}
    for parts in [*map(_parts, objects or ()), *_COMPOUND_NOUNS]:
        if not present.issuperset(parts):
            continue
        start = 0
        while parts and (found := find_phrase(words, parts, start, len(words))) is not None:
            start = found + len(parts)
            for at in range(found, start):
                if words[at].low in known:
                    masked[at] = words[at]._replace(low=f"({words[at].low})")
    for at in range(1, len(words) - 1):
        if words[at + 1].low in COMPOUNDS.get(words[at].low, ()) and words[at - 1].low not in BE:
            masked[at] = words[at]._replace(low=f"({words[at].low})")
            if words[at + 1].low in known:
                masked[at + 1] = words[at + 1]._replace(low=f"({words[at + 1].low})")
    return masked


_COMPOUND_NOUNS = (("washing", "up"), ("washing", "up", "liquid"), ("make", "up"), ("pull", "up", "bar"))


@lru_cache(maxsize=1 << 14)
def _parts(phrase: str) -> tuple[str, ...]:
    return tuple(word.low for word in split_words(phrase))


@cache
def _known_forms() -> frozenset[str]:
    return frozenset(lexicon_forms()) | PREPOSITIONS | {"left", "right", "forward", "backward", "away", "back"}
