"""What a training run is: what is trained, on which objectives and texts, for how long."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from torch import nn

from paxion.evaluation.settings import Settings
from paxion.patching.baselines import TransformerConfig, transformer_config
from paxion.patching.fuser import FuserConfig, FuserKind
from paxion.patching.patcher import PatcherConfig
from paxion.records import PaxionError, unknown_name
from paxion.video.controls import CONTROLS
from paxion.video.sample import SAMPLERS

Architecture = Literal["perceiver", "transformer"]
Protocol = Literal["default", "paper"]
Schedule = Literal["step", "epoch"]
Precision = Literal["float32", "bf16"]
Keep = Literal["last", "best"]
Task = Literal["captions", "questions"]
Texts = Literal["caption", "template"]
LARGEST = 4096
"""No size is larger: memory is taken by what they say."""


@dataclass(frozen=True)
class Recipe:
    """One training run. VTC, or on questions the choice among their answers, is always on, with weight 1.

    Every field can be changed on the command line.
    """

    task: Task = "captions"
    """captions: tell each clip's text from those of the others (VTC). questions: tell the right answer to each clip's
    own question from the wrong ones; rows without a question are left out."""
    texts: Texts = "caption"
    """What a clip's text is. template: its caption with the objects blanked, as published for SSv2-template; clips
    without one are left out."""
    question_text: str = "{question}? {choice}"
    """The text of a choice."""
    vac: bool = False
    """Antonyms of the batch as further wrong texts (VAC); on questions, antonyms of the choices as further choices."""
    atm: float = 0.0
    """Weight of action-temporal matching; the paper's is 0.4."""
    antonym_pair: float = 0.0
    """Weight of the two-way choice between caption and antonym (ours)."""
    template: float = 0.0
    """Weight of the choice among all templates of the training set (ours)."""
    label_smoothing: float = 0.1
    """Share of the target that is spread over the wrong answers."""
    protocol: Protocol = "default"
    """default: several processes train what one would on the whole batch. paper: as published, each process averages
    over its own clips, no gradient flows through what the others send (so that text to video trains the temperature
    alone), each draws dropout of its own, and the temperature has no floor."""
    temporal_embedding: bool = True
    """A learned vector per frame. Without it, and without difference tokens, a patcher is blind to the order."""
    spatial_embedding: bool = False
    """A learned vector per place in the frame (ours)."""
    difference_tokens: bool = False
    """Further tokens, of how the clip changes (ours)."""
    architecture: Architecture = "perceiver"
    """perceiver: the Knowledge Patcher. transformer: the KP-Transformer, of the paper's sizes, not those below."""
    latents: int = 8
    """Q, vectors of a clip; the paper's patcher has 16."""
    heads: int = 4
    """Attention heads of patcher and fuser; the paper's have 8."""
    dim_head: int = 32
    """Width of a head; the paper's are 64 wide."""
    temporal_dropout: float = 0.1
    """Dropout on the patcher's code of the frame."""
    pooled: bool = False
    """The patcher gives the mean of its latents."""
    sampler: str = "midpoint"
    """Which frames are taken of a clip (video/sample.py); the paper's skips the first one."""
    control: str = "none"
    """What is shown of each clip in training; anything but "none" asks what can be learned without the whole clip."""
    token_noise: float = 0.0
    """Standard deviation of normal noise on the tokens in training, as a share of their own (ours). Without it, longer
    training loses objects of a visual domain that was not trained on."""
    fuser: FuserKind | None = None
    """What is trained on top of a patcher; None: the patcher itself."""
    raw_pooled: bool = False
    """The fuser reads the backbone's vectors at the length that they have, as the paper's does."""
    joint: bool = True
    """With a fuser: train the patcher on."""
    epochs: int = 20
    """Times that every clip is seen."""
    batch: int = 64
    """Clips in a step, over all processes; the others are the wrong answers of each."""
    accumulate: int = 1
    """Parts that a batch is cut in, for want of memory. Each clip is told from those of its part only: it is no larger
    contrastive batch."""
    precision: Precision = "float32"
    """bf16: the model runs in bfloat16 where that is safe; losses, weights and optimiser stay in single precision."""
    rate: float = 3e-3
    """Learning rate after the warm-up."""
    min_rate: float = 0.0
    """Where the cosine ends."""
    cosine: bool = True
    """Anneal the rate down to min_rate; otherwise it is constant."""
    schedule: Schedule = "step"
    """step: the cosine falls with every step. epoch: as published, it falls at the start of every epoch."""
    warmup: int = 30
    """Steps over which the rate rises."""
    warmup_rate: float = 0.0
    """What it rises from."""
    weight_decay: float = 0.05
    """Of AdamW, on all parameters."""
    validate: int = 0
    """Score the val split every so many epochs; 0: never."""
    keep: Keep = "last"
    """Which weights the run ends with: the last ones, or the best of its validations."""
    patience: int = 0
    """Stop after so many validations in a row without a new best; 0: never."""

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        chosen = {"task": Task, "texts": Texts, "architecture": Architecture, "protocol": Protocol, "keep": Keep}
        for name, known in (chosen | {"schedule": Schedule, "precision": Precision}).items():
            if getattr(self, name) not in get_args(known):
                raise PaxionError(f"got {name} {getattr(self, name)!r}, expected {' or '.join(get_args(known))}")
        for name, value, names in (("sampler", self.sampler, SAMPLERS), ("control", self.control, CONTROLS)):
            if value not in names:
                raise unknown_name(name, value, names)
        if self.control == "blind":
            raise PaxionError("got control 'blind', expected one that shows something of each clip")
        if self.fuser is not None and self.fuser not in get_args(FuserKind):
            raise unknown_name("fuser", self.fuser, get_args(FuserKind))
        if self.atm and self.control != "none":
            raise PaxionError(f"got control {self.control!r} with ATM, expected none: ATM compares whole clips")
        self._check_texts()
        perceiver_only = [name for name in ("spatial_embedding", "difference_tokens", "pooled") if getattr(self, name)]
        if self.architecture == "transformer" and perceiver_only:
            raise PaxionError(f"got {perceiver_only[0]} with architecture transformer, which has none; leave it out")
        least = {"epochs": 1, "batch": 2, "accumulate": 1, "warmup": 0, "validate": 0, "patience": 0}
        for name, low in (least | dict.fromkeys(("latents", "heads", "dim_head"), 1)).items():
            if getattr(self, name) < low:
                raise PaxionError(f"got {name} {getattr(self, name)}, expected at least {low}")
        for name in ("latents", "heads", "dim_head"):
            if getattr(self, name) > LARGEST:
                raise PaxionError(f"got {name} {getattr(self, name)}, expected at most {LARGEST}")
        weights = ("atm", "antonym_pair", "template", "token_noise", "weight_decay")
        for name in (*weights, "rate", "min_rate", "warmup_rate"):
            if not 0 <= getattr(self, name) < math.inf:
                raise PaxionError(f"got {name} {getattr(self, name)}, expected 0 or more")
        for name in ("label_smoothing", "temporal_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise PaxionError(f"got {name} {getattr(self, name)}, expected 0 or more, below 1")
        if not self.validate and (self.keep == "best" or self.patience):
            what = "keep best" if self.keep == "best" else f"patience {self.patience}"
            raise PaxionError(f"got {what} without validations, expected validate 1 or more")

    def _check_texts(self) -> None:
        """Refuse texts that cannot be had together."""
        if self.task == "questions" and self.texts != "caption":
            raise PaxionError(f"got texts {self.texts!r} for questions, expected caption: their texts are the answers")
        if self.task == "questions" and self.vac and self.fuser is not None:
            raise PaxionError("got vac for a fuser on questions, expected none: as published, it is for patchers")
        if self.texts == "template" and (self.vac or self.antonym_pair):
            what = "vac" if self.vac else "antonym_pair"
            raise PaxionError(f"got {what} with texts 'template', expected none: a template has no antonym")
        Settings(question_text=self.question_text)  # refuses what is no text of a choice

    def patcher_config(
        self, dim: int, token_width: int, frames: int, tokens_per_frame: int, projection: nn.Linear | None = None
    ) -> PatcherConfig | TransformerConfig:
        """The patcher for a backbone of these sizes and with this `token_projection`."""
        if self.architecture == "transformer":
            return transformer_config(dim, token_width, projection)
        return PatcherConfig(
            dim, token_width, frames, tokens_per_frame, heads=self.heads, dim_head=self.dim_head, latents=self.latents,
            temporal_embedding=self.temporal_embedding, spatial_embedding=self.spatial_embedding,
            difference_tokens=self.difference_tokens, pooled=self.pooled, temporal_dropout=self.temporal_dropout,
        )  # fmt: skip

    def fuser_config(self, dim: int, token_width: int) -> FuserConfig | None:
        """The fuser for a backbone of these sizes, if the recipe has one."""
        if self.fuser is None:
            return None
        return FuserConfig(self.fuser, dim, token_width, self.heads, self.dim_head, raw_pooled=self.raw_pooled)
