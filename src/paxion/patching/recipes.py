"""Recipes by name. Every choice in ours was made on validation clips."""

from __future__ import annotations

from dataclasses import replace

from paxion.patching.published_recipes import PUBLISHED, PUBLISHED_CONTINUED, SIZES
from paxion.patching.recipe import LARGEST, Architecture, Keep, Precision, Protocol, Recipe, Schedule, Task, Texts

__all__ = [
    "CONTINUED", "LARGEST", "RECIPES", "Architecture", "Keep", "Precision", "Protocol", "Recipe", "Schedule", "Task",
    "Texts",
]  # fmt: skip

_OURS = Recipe(
    vac=True, atm=1.0, antonym_pair=1.0, template=1.0, spatial_embedding=True, difference_tokens=True, token_noise=0.7
)
_FUSER = replace(_OURS, fuser="xattn", epochs=6, rate=1e-3)
_VTC = Recipe()
_QUESTIONS = replace(_OURS, task="questions", question_text="{choice}", antonym_pair=0.0, template=0.0)
_QUESTIONS_FUSER = replace(_QUESTIONS, vac=False, fuser="xattn", epochs=6, rate=1e-3)

RECIPES: dict[str, Recipe] = {
    "patcher-vtc": _VTC,
    "patcher-dvdm": Recipe(vac=True, atm=0.4),
    "patcher-pooled": Recipe(vac=True, atm=0.4, pooled=True),
    "kp-transformer": Recipe(architecture="transformer", rate=1e-3),
    "patcher-vtc-differences": Recipe(spatial_embedding=True, difference_tokens=True),
    "patcher-last-frame": Recipe(control="last", spatial_embedding=True),
    "patcher": _OURS,
    "default": replace(_OURS, **SIZES),
    "patcher-questions": _QUESTIONS,
    "patcher-continued": replace(_OURS, epochs=6, rate=1e-3),
    "patcher-ft": replace(_VTC, epochs=6, rate=1e-3),
    "kp-transformer-ft": Recipe(architecture="transformer", epochs=6, rate=3e-4),
    "fuser": _FUSER,
    "side-tuning": replace(_FUSER, fuser="side_tuning"),
    "fuser-templates": replace(_FUSER, texts="template", vac=False, antonym_pair=0.0, template=0.0),
    "fuser-questions": _QUESTIONS_FUSER,
    "side-tuning-questions": replace(_QUESTIONS_FUSER, fuser="side_tuning"),
    **PUBLISHED,
}
"""patcher is our default at the size of the embedded world, `default` the same at the paper's size, for real backbones.
patcher-dvdm has the paper's objectives and patcher at the world's size. Beside them the paper's baselines (the mean of
the latents, and the KP-Transformer) and two of ours: the default's tokens without its objectives, and what a single
frame gives away. patcher-questions is ours on questions, which are put by their choices alone: the small text tower of
the world knows no words of a question.

patcher-continued is what a fuser is to be compared with: the patcher trained on for as many epochs, at the same rate,
on the same objectives. patcher-ft and kp-transformer-ft are the paper's KP-FT and KP-Transformer-FT at the world's
size, for as many epochs. Those with a fuser in them start from a trained patcher."""
CONTINUED = ("patcher-continued", "patcher-ft", "kp-transformer-ft", *PUBLISHED_CONTINUED)
"""Recipes without a fuser that go on from a trained patcher."""
