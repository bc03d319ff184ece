import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paxion.actionbench.words import Edit, Word, apply_edits, find_phrase, like, split_words

SAID = "#C C opens the door man's can't don\u2019t 3 1,000 2.5 up-stairs Æsop café , . ! ( ) #unsure"
TOKENS = st.sampled_from(SAID.split())
CAPTIONS = st.lists(TOKENS, max_size=12).map(" ".join)


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("#C C opens the door.", ["#C", "C", "opens", "the", "door", "."]),
        ("turn-on tap", ["turn", "-", "on", "tap"]),
        ("the man's cup", ["the", "man's", "cup"]),
        ("don\u2019t open", ["don\u2019t", "open"]),
        ("2.5 cups, 1,000 beans", ["2.5", "cups", ",", "1,000", "beans"]),
        ("Twisting (wringing) something", ["Twisting", "(", "wringing", ")", "something"]),
        ("opens  the\tdoor\n", ["opens", "the", "door"]),
        ("ÖFFNET die Tür", ["ÖFFNET", "die", "Tür"]),
        ("picks_up", ["picks", "up"]),
        ("打开门", ["打开门"]),
        ("", []),
        ("   ", []),
    ],
)
def test_words_of_a_caption(caption: str, expected: list[str]) -> None:
    assert [word.text for word in split_words(caption)] == expected


@given(st.text(max_size=200))
def test_words_and_their_places_agree_and_nothing_is_left_out(caption: str) -> None:
    at = 0
    for word in split_words(caption):
        assert caption[word.start : word.end] == word.text != ""
        assert word.low == word.text.lower()
        assert word.start >= at
        assert not caption[at : word.start].replace("_", " ").strip(), "only blanks may lie between words"
        at = word.end
    assert not caption[at:].replace("_", " ").strip()


@given(CAPTIONS, st.data())
def test_edits_touch_no_other_character(caption: str, data: st.DataObject) -> None:
    words = split_words(caption)
    chosen = [word for word in words if data.draw(st.booleans())]
    edits = [Edit(word.start, word.end, data.draw(st.sampled_from(["closes", "put back", "x"]))) for word in chosen]
    expected = caption
    for edit in reversed(edits):
        expected = expected[: edit.start] + edit.text + expected[edit.end :]
    assert apply_edits(caption, data.draw(st.permutations(edits))) == expected


@given(CAPTIONS)
def test_no_edits_change_nothing(caption: str) -> None:
    assert apply_edits(caption, []) == caption


@given(st.lists(st.sampled_from(["open", "the", "door", "up"]), min_size=1, max_size=8), st.data())
def test_deletions_leave_no_double_spaces(tokens: list[str], data: st.DataObject) -> None:
    caption = " ".join(tokens)
    # The first word of a caption is never deleted.
    keep = [True] + [data.draw(st.booleans()) for _ in tokens[1:]]
    edits = [Edit(w.start, w.end, "") for w, kept in zip(split_words(caption), keep, strict=True) if not kept]
    left = [token for token, kept in zip(tokens, keep, strict=True) if kept]
    assert apply_edits(caption, edits) == " ".join(left)


def test_a_deletion_takes_the_space_before_it_along() -> None:
    caption = "zip up the bag, slowly"
    assert apply_edits(caption, [Edit(0, 3, "unzip"), Edit(4, 6, "")]) == "unzip the bag, slowly"
    assert apply_edits(caption, [Edit(16, 22, "")]) == "zip up the bag,"


def test_an_edit_of_no_length_inserts() -> None:
    assert apply_edits("takes it", [Edit(8, 8, " off")]) == "takes it off"
    assert apply_edits("takes it now", [Edit(8, 8, " off"), Edit(0, 5, "puts")]) == "puts it off now"


@pytest.mark.parametrize(
    ("written", "new", "expected"),
    [
        ("opens", "closes", "closes"),
        ("Opens", "closes", "Closes"),
        ("OPENS", "closes", "CLOSES"),
        ("Pushing", "pulling out", "Pulling out"),
        ("PUT", "take out", "TAKE OUT"),
        ("A", "the", "The"),
        ("oPENS", "closes", "closes"),
        ("2", "closes", "closes"),
        ("Öffnet", "übt", "Übt"),
        ("Opens", "", ""),
    ],
)
def test_case_is_kept(written: str, new: str, expected: str) -> None:
    assert like(written, new) == expected


def plain(words: list[Word], phrase: list[str], start: int, stop: int) -> int | None:
    places = (at for at in range(len(words)) if [word.low for word in words[at : at + len(phrase)]] == phrase)
    return next((at for at in places if start <= at and at + len(phrase) <= stop), None)


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from("abc"), max_size=12),
    st.lists(st.sampled_from("abc"), min_size=1, max_size=3),
    st.integers(0, 12),
    st.integers(0, 12),
)
def test_phrases_are_found_within_their_bounds(tokens: list[str], phrase: list[str], start: int, stop: int) -> None:
    words = split_words(" ".join(tokens))
    stop = min(stop, len(words))
    assert find_phrase(words, phrase, start, stop) == plain(words, phrase, start, stop)
