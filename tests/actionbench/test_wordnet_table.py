import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks/derive_wordnet.py"
FOLDER = ROOT / "src/paxion/actionbench/lexicon"
WORDNET = Path("/usr/share/wordnet")
COLUMNS = ["verb", "antonym", "keep", "reversal", "why", "senses", "symmetric", "also", "gloss"]


def table() -> list[dict[str, str]]:
    lines = (FOLDER / "wordnet.tsv").read_text("utf-8").splitlines()
    comments = [line for line in lines if line.startswith("#")]
    assert comments[-1] == "# " + "\t".join(COLUMNS)
    return [dict(zip(COLUMNS, line.split("\t"), strict=True)) for line in lines[len(comments) :]]


ROWS = table()
PAIRS = {(row["verb"], row["antonym"]): row for row in ROWS}
KEPT = {row["verb"]: row for row in ROWS if row["keep"] == "yes"}


def derive(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *args], capture_output=True, text=True, check=False)


def test_every_pair_is_judged() -> None:
    assert len(ROWS) == len(PAIRS) == 948
    assert [*PAIRS] == sorted(PAIRS)
    for row in ROWS:
        assert all(cell == cell.strip() != "" for cell in row.values()), row
        assert row["keep"] in ("yes", "no"), row
        assert row["reversal"] in (("yes", "same", "no") if row["keep"] == "yes" else ("-",)), row
        assert row["why"] not in ("?", "-"), row


def test_at_most_one_antonym_of_a_verb_is_kept() -> None:
    assert len(KEPT) == sum(row["keep"] == "yes" for row in ROWS) == 177
    assert all(row["antonym"] != verb for verb, row in KEPT.items())


def test_kept_pairs_hold_in_both_directions_or_say_so() -> None:
    for verb, row in KEPT.items():
        assert (row["antonym"], verb) in PAIRS, row
        mutual = KEPT.get(row["antonym"], {}).get("antonym") == verb
        assert mutual != ("one way" in row["why"]), row


def test_an_unseen_reversal_has_its_reason() -> None:
    assert all((row["reversal"] != "yes") == ("reversed: " in row["why"]) for row in KEPT.values())


def test_the_symmetric_column_is_true_of_the_table() -> None:
    for (verb, antonym), row in PAIRS.items():
        assert (row["symmetric"] == "yes") == ((antonym, verb) in PAIRS), row
    assert {verb for (verb, _), row in PAIRS.items() if row["symmetric"] == "no"} == {
        "centralise",
        "decentralize",
        "have",
        "legalise",
        "miss",
    }


@pytest.mark.parametrize(
    ("verb", "antonym", "reversal"),
    [
        ("open", "close", "yes"),
        ("unlock", "lock", "yes"),
        ("fold", "unfold", "yes"),
        ("push", "pull", "no"),
        ("hold", "let_go_of", "same"),
    ],
)
def test_pairs_that_anybody_would_name(verb: str, antonym: str, reversal: str) -> None:
    assert (KEPT[verb]["antonym"], KEPT[verb]["reversal"]) == (antonym, reversal)


@pytest.mark.parametrize("verb", ["attach", "arrive", "give", "love", "believe", "record", "show", "sink", "couple"])
def test_verbs_whose_antonym_would_mislead(verb: str) -> None:
    assert any(row["verb"] == verb for row in ROWS)
    assert verb not in KEPT


def test_the_notice_of_wordnet_is_beside_the_table() -> None:
    notice = (FOLDER / "WORDNET_LICENSE").read_text("utf-8")
    assert "WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved." in notice
    assert 'THIS SOFTWARE AND DATABASE IS PROVIDED "AS IS"' in notice


@pytest.mark.skipif(not (WORDNET / "data.verb").is_file(), reason="needs WordNet 3.0: apt install wordnet-base")
def test_deriving_again_gives_the_same_table() -> None:
    assert derive("--wordnet", WORDNET).stdout == (FOLDER / "wordnet.tsv").read_text("utf-8")


def small_wordnet(folder: Path) -> Path:
    """Three synsets in the format of wndb(5); the second word of the first is the antonym of the last one."""
    lines = {
        "data.verb": [
            '00000001 35 v 02 shut 0 close 0 002 ! 00000003 v 0201 ~ 00000002 v 0000 01 + 08 00 | bar a way; "close"',
            "00000002 35 v 01 close 1 000 01 + 02 00 | end",
            "00000003 35 v 01 open_wide 0 001 ! 00000001 v 0102 01 + 08 00 | " + "let through " * 9,
        ],
        "index.verb": [
            "close v 2 2 ! ~ 2 1 00000002 00000001  ",
            "open_wide v 1 1 ! 1 0 00000003  ",
            "shut v 1 1 ! 1 0 00000001  ",
        ],
        "index.noun": ["close n 1 0 1 1 00000009  "],
        "index.adj": ["close a 1 0 1 1 00000009  "],
        "cntlist.rev": [
            "close%1:28:00:: 1 1",
            "close%2:35:00:: 1 4",
            "close%3:00:01:: 1 3",
            "close%5:00:00:near:00 2 1",
        ],
    }
    for name, content in lines.items():
        licence = [] if name == "cntlist.rev" else ["  1 This software and database is provided | to you  "]
        (folder / name).write_text("\n".join([*licence, *content]) + "\n")
    return folder


def test_derivation_from_a_small_wordnet(tmp_path: Path) -> None:
    judged = tmp_path / "judged.tsv"
    judged.write_text("# verb ...\nclose\topen_wide\tyes\tyes\ta way\nopen\tgone\tno\t-\tno more\n")
    done = derive("--wordnet", small_wordnet(tmp_path), "--table", judged)
    rows = [line.split("\t") for line in done.stdout.splitlines() if not line.startswith("#")]
    assert rows == [
        ["close", "open_wide", "yes", "yes", "a way", "2:1", "yes", "adj", "bar a way"],
        [
            "open_wide",
            "close",
            "?",
            "?",
            "?",
            "1:2",
            "yes",
            "-",
            "let through let through let through let through let ...",
        ],
    ]
    assert done.stderr == "not in this WordNet, left out: open, gone\n"


def test_judgements_are_not_lost_to_an_overwritten_table(tmp_path: Path) -> None:
    (tmp_path / "judged.tsv").touch()
    done = derive("--wordnet", small_wordnet(tmp_path), "--table", tmp_path / "judged.tsv")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is empty" in done.stderr


def test_a_folder_without_wordnet_is_named(tmp_path: Path) -> None:
    done = derive("--wordnet", tmp_path)
    assert done.returncode == 1
    assert not done.stdout
    assert done.stderr.startswith(f"{tmp_path} lacks data.verb, index.verb") and done.stderr.count("\n") == 1
