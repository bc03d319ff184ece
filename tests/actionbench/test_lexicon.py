"""The data files of the lexicon are well-formed, and the lexicon that is read from them says what they say."""

import re
from collections import Counter
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxion.actionbench.inflection import TAGS, form_index, forms, inflect
from paxion.actionbench.lexicon import PLACE, Entry, Frame, load_lexicon, rows, word_class
from paxion.actionbench.words import split_words

LEXICON = load_lexicon()
ENTRIES = [entry for entries in LEXICON.entries.values() for entry in entries]
FRAMES = list(rows("frames.tsv"))
COLUMNS = {
    "frames.tsv": 5,
    "directions.tsv": 4,
    "motions.tsv": 3,
    "contrasts.tsv": 6,
    "idioms.tsv": 3,
    "grounds.tsv": 2,
    "classes.tsv": 3,
    "compounds.tsv": 2,
}


def heads(cell: str) -> list[str]:
    return cell.split(" ")[0].split("|")


def places(cell: str) -> list[str]:
    return cell.split(" ")[1:]


def spelled(frame: Frame) -> tuple[str, ...]:
    """The words of a frame, however they are shared out between verb and places."""
    return tuple(" ".join([frame.verb, *(place.strip("+$") for place in frame.places if place)]).split())


@pytest.mark.parametrize("name", COLUMNS)
def test_every_line_has_its_cells(name: str) -> None:
    lines = list(rows(name))
    assert lines
    for cells in lines:
        assert len(cells) == COLUMNS[name], cells
        assert all(cells), cells


@pytest.mark.parametrize("name", COLUMNS)
def test_every_file_says_what_its_columns_are(name: str) -> None:
    text = (files("paxion.actionbench") / "lexicon" / name).read_text("utf-8")
    assert text.startswith("# ") and text.endswith("\n") and "\r" not in text


def test_cells_have_no_stray_blanks() -> None:
    for cells in FRAMES:
        assert all(cell == " ".join(cell.split()) for cell in cells), cells


def test_frames_have_opposites_with_as_many_places() -> None:
    for left, right, symmetric, reverse, why in FRAMES:
        assert symmetric in ("yes", "no"), (left, right)
        assert len(why) > 3, (left, right)
        if right == "-":
            assert (symmetric, reverse in ("none", "same")) == ("no", True), left
            continue
        assert len(places(left)) == len(places(right)), (left, right)
        assert len(heads(right)) in (1, len(heads(left))), (left, right)
        assert left != right
        if reverse not in ("=", "none", "same"):
            assert len(places(reverse)) == len(places(left)), (left, reverse)
        if symmetric == "yes":
            assert PLACE not in right, f"{left}: nothing gives @place back"


def test_only_the_first_place_may_be_bound_to_the_verb_and_only_the_last_one_to_the_end() -> None:
    for left, right, *_ in FRAMES:
        assert re.fullmatch(r"[^+$ ]+( \+?[^+$ ]+( [^+$ ]+)*\$?)?", left), left
        assert not set("+$") & set(right), (left, right)


def test_no_frame_is_defined_twice() -> None:
    # The first line wins: a later one would be ignored without a word.
    count = Counter((head, *places(left)) for left, *_ in FRAMES for head in heads(left))
    assert [frame for frame, times in count.items() if times > 1] == []


def test_symmetric_lines_give_each_other_back() -> None:
    known: dict[tuple[str, ...], list[Entry]] = {}
    for entry in ENTRIES:
        known.setdefault(spelled(entry.frame), []).append(entry)

    def answers(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
        return any(entry.opposite and spelled(entry.opposite) == other for entry in known.get(one, ()))

    for left, right, symmetric, *_ in FRAMES:
        if right == "-":
            continue
        one, other = cell_words(left), cell_words(right)
        assert answers(one, other), f"{left} is not answered by {right}"
        if symmetric == "yes":
            assert answers(other, one), f"{right} is not answered by {left}, though the line says it is symmetric"


def cell_words(cell: str) -> tuple[str, ...]:
    text = " ".join([heads(cell)[0], *(place.strip("+$") for place in places(cell) if place != "-")])
    return tuple(text.replace("_", " ").split())


def test_the_opposite_never_is_the_frame_itself() -> None:
    for entry in ENTRIES:
        assert entry.opposite is None or spelled(entry.opposite) != spelled(entry.frame), str(entry.frame)


def test_opposites_have_a_word_for_each_place_or_drop_it() -> None:
    for entry in ENTRIES:
        if entry.opposite is not None:
            assert len(entry.opposite.places) == len(entry.phrases), f"{entry.frame} -> {entry.opposite}"
        assert entry.why
        assert entry.source in ("curated", "wordnet")
        assert all(place for place in entry.frame.places)


def test_reversals_have_a_word_for_each_place_or_drop_it() -> None:
    for entry in ENTRIES:
        if isinstance(entry.reversed, Frame):
            assert len(entry.reversed.places) == len(entry.phrases), f"{entry.frame} -> {entry.reversed}"


def test_the_most_specific_entry_comes_first() -> None:
    for entries in LEXICON.entries.values():
        sizes = [len(entry.frame.places) for entry in entries]
        assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(
    ("verb", "opposite", "source"),
    [
        ("open", "close", "curated"),
        ("close", "open", "curated"),
        ("fold", "unfold", "curated"),
        ("unfold", "fold", "curated"),
        ("tie", "untie", "curated"),
        ("unclog", "clog", "wordnet"),
    ],
)
def test_entries_of_bare_verbs(verb: str, opposite: str, source: str) -> None:
    entry = next(entry for entry in LEXICON.entries[verb] if not entry.frame.places)
    assert (entry.opposite, entry.source) == (Frame(opposite), source)


def test_wordnet_never_answers_a_verb_that_has_curated_lines() -> None:
    for entries in LEXICON.entries.values():
        assert len({entry.source for entry in entries}) == 1


def verbs() -> list[str]:
    named = [entry.frame.verb for entry in ENTRIES] + list(LEXICON.motions)
    named += [str(verb) for _, verb, _ in rows("motions.tsv") if " " not in verb and verb not in ("=", "none")]
    others = [other.verb for entry in ENTRIES for other in (entry.opposite, entry.reversed) if isinstance(other, Frame)]
    return sorted({verb.partition(" ")[0] for verb in named + others})


VERBS = verbs()


def test_every_verb_has_five_forms_that_lead_back_to_it() -> None:
    index = form_index(VERBS)
    for verb in VERBS:
        for tag in TAGS:
            form = inflect(verb, tag)
            assert verb in [known for known, _ in index[form]], (verb, tag, form)
        assert inflect(verb, "VB") == verb
        assert inflect(verb, "VBG").endswith("ing"), verb
        assert inflect(verb, "VBZ").endswith("s"), verb


@pytest.mark.parametrize(
    ("verb", "expected"),
    [
        ("take", "take takes taking took taken"),
        ("put", "put puts putting put put"),
        ("shut", "shut shuts shutting shut shut"),
        ("lie", "lie lies lying lay lain"),
        ("lay", "lay lays laying laid laid"),
        ("tie", "tie ties tying tied tied"),
        ("untie", "untie unties untying untied untied"),
        ("unbind", "unbind unbinds unbinding unbound unbound"),
        ("overtake", "overtake overtakes overtaking overtook overtaken"),
        ("hang", "hang hangs hanging hung hung"),
        ("throw", "throw throws throwing threw thrown"),
        ("drop", "drop drops dropping dropped dropped"),
        ("unzip", "unzip unzips unzipping unzipped unzipped"),
        ("fly", "fly flies flying flew flown"),
        ("flee", "flee flees fleeing fled fled"),
        ("be", "be is being was been"),
        ("light", "light lights lighting lit lit"),
        ("lean", "lean leans leaning leaned leaned"),
        ("ski", "ski skis skiing skied skied"),
    ],
)
def test_forms(verb: str, expected: str) -> None:
    assert [inflect(verb, tag) for tag in TAGS] == expected.split()


def test_of_a_phrase_the_first_word_is_inflected() -> None:
    assert [inflect("put down", tag) for tag in TAGS] == [
        "put down",
        "puts down",
        "putting down",
        "put down",
        "put down",
    ]
    assert inflect("let go of", "VBG") == "letting go of"


@given(st.sampled_from(VERBS), st.sampled_from(TAGS))
def test_all_spellings_of_a_form_lead_back(verb: str, tag: str) -> None:
    index = form_index([verb])
    assert all((verb, tag) in index[form] for form in forms(verb).get(tag, ()))


def test_directions() -> None:
    lines = list(rows("directions.tsv"))
    assert {kind for _, _, kind, _ in lines} == {"path", "way"}
    assert all(left != right for left, right, *_ in lines)
    count = Counter(left for left, *_ in lines)
    assert max(count.values()) == 2 and [left for left, times in count.items() if times > 1] == ["away_from_each_other"]
    sizes = [len(direction.words) for direction in LEXICON.directions]
    assert sizes == sorted(sizes, reverse=True)
    assert len({direction.words for direction in LEXICON.directions}) == len(LEXICON.directions)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("left", "right"),
        ("up", "down"),
        ("clockwise", "counterclockwise"),
        ("from left to right", "from right to left"),
        ("to the left", "to the right"),
        ("forward", "backward"),
        ("into", "out of"),
    ],
)
def test_directions_lead_back(one: str, other: str) -> None:
    opposite = {" ".join(direction.words): direction.opposite for direction in LEXICON.directions}
    assert (opposite[one], opposite[other]) == (other, one)


def test_motions() -> None:
    for verbs_of_line, shown, why in rows("motions.tsv"):
        assert shown in ("=", "none") or shown in LEXICON.motions, shown
        assert " " not in verbs_of_line and why
    assert LEXICON.motions["pull"] == "push" and LEXICON.motions["push"] == "pull"
    assert LEXICON.motions["move"] == "=" and LEXICON.motions["walk"] == "none"


def test_contrasts() -> None:
    lines = list(rows("contrasts.tsv"))
    for wording, opposite, when, symmetric, shown, _ in lines:
        assert when in ("first", "last") and symmetric in ("yes", "no"), wording
        assert shown in ("=", "same", "none", "unknown"), wording
        assert wording.strip() != opposite.strip()
        assert symmetric == "no" or opposite != "-", wording
    count = Counter(line[0] for line in lines)
    assert max(count.values()) == 1
    words = [contrast.words for contrast in LEXICON.contrasts]
    assert len(words) == len(set(words)), "a wording has two opposites"
    assert all(contrast.words for contrast in LEXICON.contrasts)


def test_idioms_are_of_verbs_that_have_an_opposite_else() -> None:
    for verb, nouns, _ in rows("idioms.tsv"):
        assert verb in LEXICON.entries or verb in LEXICON.motions, verb
        assert nouns == nouns.lower()
    assert ("take", "photo") in LEXICON.idioms


def test_grounds() -> None:
    lines = {preposition: nouns.split() for preposition, nouns in rows("grounds.tsv")}
    assert set(lines) == {"in", "on", "to"}
    count = Counter(noun for nouns in lines.values() for noun in set(nouns))
    assert [noun for noun, times in count.items() if times > 1] == [], "a thing is put either in or on"


def test_classes_are_named_once_and_their_words_can_occur() -> None:
    names = [name for name, *_ in rows("classes.tsv")]
    assert len(names) == len(set(names))
    for name in names:
        for word in word_class(name):
            if name not in ("both_ways", "sites") and not word.startswith("'"):
                assert len(split_words(word)) == 1 and word == word.lower(), (name, word)


def test_a_class_that_is_not_there_is_an_error() -> None:
    with pytest.raises(StopIteration):
        word_class("no such class")
