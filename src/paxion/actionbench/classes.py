"""Classes of words that the rules for verbs and places go by; lexicon/classes.tsv says what each is for."""

from __future__ import annotations

from paxion.actionbench.lexicon import rows, word_class

DETERMINERS = word_class("determiners")
PREPOSITIONS = word_class("prepositions")
PRONOUNS = word_class("pronouns")
OBJECT_PRONOUNS = word_class("object_pronouns")
PLURALS = word_class("plurals")
PERSONS = word_class("persons")
DIRECTIONS = word_class("directions")
BE = word_class("be")
HAVE = word_class("have")
MODALS = word_class("modals")
COORDINATORS = frozenset(("and", "or", "but", "then", ",", ";", "&", "/"))
GOT = frozenset(("get", "gets", "got", "getting"))
STATES = frozenset(("dressed", "undressed", "stuck", "hit"))
STOPS = frozenset((".", ";", "!", "?"))
SUBORDINATORS = word_class("subordinators")
ADVERBS = word_class("adverbs")
CAUSATIVES = word_class("causatives")
CATENATIVES = word_class("catenatives")
ADJECTIVES = word_class("adjectives")
NOUNS = word_class("nouns")
NO_NOUNS = DETERMINERS | PREPOSITIONS | COORDINATORS | BE | MODALS | HAVE
COMPOUNDS = {form: frozenset(nouns.split()) for form, nouns in rows("compounds.tsv")}
