"""The published recipes. Batches are those of two processes together, which is what was published.

Of what surprises in them, these are reproduced: the rate is constant where there is one epoch (its cosine goes by the
epoch), weight decay is on every parameter, the gradient through the gathered clips is dropped, each process averages
ATM over its own salient clips, the first frame is never seen, fusers are trained on plain VTC whatever their patcher
was trained on, and antonyms of answers have lost the place of the answer that they turn round. These are not, as
features are computed once: the frozen backbone ran in train mode (with dropout, where it has any), and a colour jitter
of one random operation was drawn for every clip and epoch. CLIP's colour statistics for every backbone are an option of
the backbone (paxion models).

Source: Paxion (NeurIPS 2023), published configurations, and their history where these say otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from paxion.patching.recipe import Recipe

SIZES: dict[str, Any] = {"latents": 16, "heads": 8, "dim_head": 64}
"""The paper's."""
VTC = Recipe(
    **SIZES, protocol="paper", sampler="paper", epochs=1, rate=1e-5, schedule="epoch", warmup=0
)  # fmt: skip
DVDM = replace(VTC, vac=True, atm=0.4)
TRANSFORMER = replace(VTC, architecture="transformer", batch=16)
FUSER = replace(VTC, fuser="xattn", raw_pooled=True)
SIDE_TUNING = replace(FUSER, fuser="side_tuning")
TEMPLATE: dict[str, Any] = {"texts": "template", "epochs": 2}
QUESTIONS = replace(VTC, task="questions", temporal_embedding=False, temporal_dropout=0.0, batch=32)

PUBLISHED: dict[str, Recipe] = {
    "paper-vtc": VTC,
    "paper-dvdm": DVDM,
    "paper-dvdm-ego4d": replace(DVDM, atm=1.2),
    "paper-transformer": TRANSFORMER,
    "paper-ft": VTC,
    "paper-ft-template": replace(VTC, **TEMPLATE),
    "paper-transformer-ft": TRANSFORMER,
    "paper-transformer-ft-template": replace(TRANSFORMER, **TEMPLATE),
    "paper-fuser": FUSER,
    "paper-fuser-template": replace(FUSER, **TEMPLATE),
    "paper-side-tuning": SIDE_TUNING,
    "paper-side-tuning-template": replace(SIDE_TUNING, **TEMPLATE),
    "paper-nextqa-patcher": replace(QUESTIONS, vac=True),
    "paper-nextqa-ft": replace(QUESTIONS, epochs=5),
    "paper-nextqa-transformer": replace(
        QUESTIONS, architecture="transformer", temporal_embedding=True, batch=16, epochs=5, label_smoothing=0.0
    ),
    "paper-nextqa-fuser": replace(QUESTIONS, fuser="xattn", raw_pooled=True, epochs=4),
    "paper-nextqa-side-tuning": replace(QUESTIONS, fuser="side_tuning", raw_pooled=True, epochs=4),
}
"""For SSv2 and Ego4D; those of NExT-QA say so. -ft: trained on, from a patcher of the same objectives. -template: clips
and their templates, in two epochs: the published files say one, their history two, which were evaluated.

paper-dvdm-ego4d has the weight of ATM of the runs on Ego4D that were evaluated; the published files say 0.4.
paper-nextqa-ft is trained from scratch; in its history it gave the mean of its latents (--change.pooled True)."""
PUBLISHED_CONTINUED = tuple(name for name in PUBLISHED if "-ft" in name and "nextqa" not in name)
"""Those that go on from a patcher."""
