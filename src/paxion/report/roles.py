"""Who is who among the models of a run: backbones as they came, patched models, and the one reported on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

BACKBONE = "backbone"
PATCHED = ("patcher", "patcher-dvdm", "patcher-vtc")
COMBINED = {"fuser": "The fuser", "ensemble": "The ensemble"}
GLOSSES = {
    BACKBONE: "the video-language model as it came, frozen",
    "patcher-vtc": "Knowledge Patcher trained only to match clips and captions (VTC)",
    "patcher-dvdm": "the same, trained on what changes in time as well, as in the paper (VTC and DVDM)",
    "patcher": "Knowledge Patcher with our settings: it also reads how the frozen features change over time, and is "
    "trained on more choices between an action and its opposite",
    "default": "Knowledge Patcher with our settings, at the paper's size",
    "paper-vtc": "Knowledge Patcher as published, trained only to match clips and captions (VTC)",
    "paper-dvdm": "Knowledge Patcher as published, trained on what changes in time as well (VTC and DVDM)",
    "patcher-pooled": "Knowledge Patcher with the objectives of the paper (VTC and DVDM) that gives the mean of its "
    "latents",
    "patcher-vtc-differences": "Knowledge Patcher that also reads how the frozen features change over time, trained "
    "only to match clips and captions (VTC)",
    "patcher-last-frame": "Knowledge Patcher trained on last frames alone to match them and captions: what can be "
    "learned from what actions end in",
    "kp-transformer": "a plain transformer in place of the Knowledge Patcher, trained only to match clips and captions "
    "(VTC)",
    "fuser": "Knowledge Fuser: patcher and backbone joined by a trained layer, to keep both actions and objects",
    "side-tuning": "a weighted sum of patcher and backbone vectors, in place of the fuser",
    "patcher-questions": "Knowledge Patcher with our settings, trained to answer questions about clips",
    "patcher-continued": "the patcher trained on for as many steps as a fuser: what those steps alone are worth",
    "patcher-ft": "Knowledge Patcher trained further, only to match clips and captions (KP-FT)",
    "kp-transformer-ft": "the plain transformer trained further (KP-Transformer-FT)",
    "fuser-templates": "Knowledge Fuser trained to match clips and captions whose objects are blanked",
    "fuser-questions": "Knowledge Fuser trained to answer questions about clips",
    "side-tuning-questions": "a weighted sum of patcher and backbone vectors, trained to answer questions about clips",
    "paper-dvdm-ego4d": "Knowledge Patcher as published for Ego4D (VTC and DVDM, with three times the weight of ATM)",
    "paper-transformer": "KP-Transformer as published: a plain transformer in place of the Knowledge Patcher (VTC)",
    "paper-ft": "Knowledge Patcher as published, trained further to match clips and captions (KP-FT)",
    "paper-ft-template": "Knowledge Patcher as published, trained further on captions whose objects are blanked",
    "paper-transformer-ft": "KP-Transformer as published, trained further to match clips and captions",
    "paper-transformer-ft-template": "KP-Transformer as published, trained further on captions whose objects are "
    "blanked",
    "paper-fuser": "Knowledge Fuser as published: patcher and backbone joined by cross-attention (VTC)",
    "paper-fuser-template": "Knowledge Fuser as published, trained on captions whose objects are blanked",
    "paper-side-tuning": "side-tuning as published: a weighted sum of patcher and backbone vectors (VTC)",
    "paper-side-tuning-template": "side-tuning as published, trained on captions whose objects are blanked",
    "paper-nextqa-patcher": "Knowledge Patcher as published, trained on questions and the antonyms of their answers",
    "paper-nextqa-ft": "Knowledge Patcher as published, trained on questions alone (KP-FT)",
    "paper-nextqa-transformer": "KP-Transformer as published, trained on questions",
    "paper-nextqa-fuser": "Knowledge Fuser as published, trained on questions",
    "paper-nextqa-side-tuning": "side-tuning as published, trained on questions",
    "ensemble": "the scores of patcher and backbone, added with a weight",
}
"""What the models of known names are."""


METHODS = {
    "softmax-sum": "{model} and the backbone: the sum of their probabilities over the candidates of a query",
    "score-sum": "{model} and the backbone: the sum of their scores, with a weight",
    "two-step": "{model} ordering the backbone's best candidates again",
}
"""What a model is under a method that puts the backbone beside it: its name is "model [method]"."""


@dataclass(frozen=True, slots=True)
class Roles:
    """The models of a run that see clips, by what they are; each in the order in which models are shown."""

    plain: tuple[str, ...]
    """Backbones as they came."""
    patched: tuple[str, ...]
    on: Mapping[str, str]
    """Model to the backbone that it is or was put on; empty where the run has not recorded it."""

    @property
    def recorded(self) -> bool:
        """Whether the run has recorded what is patched. Otherwise only known names tell."""
        return bool(self.on)

    def base(self, model: str) -> str | None:
        """The unpatched model that a patched one is to be compared with; None if it was not asked."""
        found = [name for name in self.plain if self.on.get(name) == self.on.get(model)]
        return found[0] if len(found) == 1 else None

    def subject(self, scored: Collection[str]) -> str | None:
        """The patched model that the report is about, among those `scored`.

        The full patcher, else the first ablation of it, else the only patched model there is, whatever its name.
        """
        scored = [name for name in scored if not name.endswith("]")]
        known = next((name for name in PATCHED if name in self.patched and name in scored), None)
        others = [name for name in self.patched if name not in COMBINED and name in scored]
        return known or (others[0] if self.recorded and len(others) == 1 else None)

    def gloss(self, name: str) -> str:
        """What a model is, in a few words."""
        if name == "patcher-dvdm" and "patcher-vtc" not in self.patched:
            return GLOSSES[name].replace("the same, trained", "Knowledge Patcher, trained")
        if name in GLOSSES:
            return GLOSSES[name]
        model, _, method = name.removesuffix("]").rpartition(" [")
        if model and method in METHODS:
            return METHODS[method].format(model=model)
        if name in self.plain:
            return "a model as it came, frozen"
        return f"a patched model: an adapter on {self.on[name]}" if name in self.on else "a model given by the user"


def roles_of(names: Iterable[str], provenance: Mapping[str, object] | None = None) -> Roles:
    """The roles of the models of these names, by what `models_on` of the provenance says, else by their names."""
    names = list(dict.fromkeys(names))
    recorded = (provenance or {}).get("models_on")
    if not isinstance(recorded, Mapping):
        patched = (name for name in names if name in GLOSSES and name != BACKBONE)
        return Roles(tuple(name for name in names if name == BACKBONE), tuple(patched), {})
    known = {name: recorded[name] for name in names if isinstance(recorded.get(name), Mapping)}
    return Roles(
        tuple(name for name, what in known.items() if not what.get("adapter")),
        tuple(name for name, what in known.items() if what.get("adapter")),
        {name: str(what.get("backbone")) for name, what in known.items()},
    )


def named(model: str) -> str:
    """A model's name inside a sentence."""
    return "the backbone" if model == BACKBONE else model


def starting(model: str) -> str:
    """A model's name at the start of a sentence."""
    return "The backbone" if model == BACKBONE else model
