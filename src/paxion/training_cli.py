"""The subcommands that train: patch and fuse. One dataclass each; heavy imports elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class Change:
    """Changes to the recipe, field by field; what is not given stays as the recipe has it."""

    task: Literal["captions", "questions"] | None = None
    """Told apart in training: the texts of the clips, or the answers to each clip's question."""
    texts: Literal["caption", "template"] | None = None
    """What a clip's text is: its caption, or the caption with its objects blanked."""
    question_text: str | None = None
    """The text of a choice, made of {question} and {choice}."""
    vac: bool | None = None
    """Antonyms of the batch as further wrong texts; of the choices, as further choices."""
    atm: float | None = None
    """Weight of action-temporal matching: clip against its reversal."""
    antonym_pair: float | None = None
    """Weight of the choice between caption and antonym."""
    template: float | None = None
    """Weight of the choice among templates."""
    label_smoothing: float | None = None
    """Share of the target that is spread over the wrong answers."""
    protocol: Literal["default", "paper"] | None = None
    """How several processes train together: as one would (default), or as published (paper)."""
    temporal_embedding: bool | None = None
    """A learned vector per frame; without it and difference tokens, the patcher is blind to order."""
    spatial_embedding: bool | None = None
    """A learned vector per place in the frame."""
    difference_tokens: bool | None = None
    """Tokens of how the clip changes."""
    architecture: Literal["perceiver", "transformer"] | None = None
    """The Knowledge Patcher, or the KP-Transformer."""
    latents: int | None = None
    """Q, vectors of a clip; the paper's patcher has 16."""
    heads: int | None = None
    """Attention heads; the paper's patcher has 8."""
    dim_head: int | None = None
    """Width of a head; the paper's patcher has 64."""
    temporal_dropout: float | None = None
    """Dropout on the code of the frame."""
    pooled: bool | None = None
    """The patcher gives the mean of its latents."""
    sampler: str | None = None
    """Which frames are taken of a clip: midpoint, endpoints, or paper."""
    control: str | None = None
    """What is shown of each clip in training: none, first, middle, last, shuffled."""
    token_noise: float | None = None
    """Standard deviation of noise on the tokens."""
    fuser: Literal["xattn", "gated_xattn", "xattn_v2", "side_tuning"] | None = None
    """The kind of fuser, for paxion fuse."""
    raw_pooled: bool | None = None
    """The fuser reads the backbone's vectors at the length that they have."""
    joint: bool | None = None
    """With a fuser: train the patcher on."""
    epochs: int | None = None
    """Times that every clip is seen."""
    batch: int | None = None
    """Clips in a step, over all processes; the others are the wrong answers of each."""
    accumulate: int | None = None
    """Parts that a batch is cut in, for want of memory; they do not see each other."""
    precision: Literal["float32", "bf16"] | None = None
    """What the model is computed in."""
    rate: float | None = None
    """Learning rate after the warm-up."""
    min_rate: float | None = None
    """Where the cosine ends."""
    cosine: bool | None = None
    """Anneal the rate; otherwise it is constant."""
    schedule: Literal["step", "epoch"] | None = None
    """Whether the rate falls with every step, or with every epoch as published."""
    warmup: int | None = None
    """Steps over which the rate rises."""
    warmup_rate: float | None = None
    """What it rises from."""
    weight_decay: float | None = None
    """Of AdamW, on all parameters."""
    validate: int | None = None
    """Score the val split every so many epochs: loss, antonym and reversal accuracy, in log.jsonl."""
    keep: Literal["last", "best"] | None = None
    """Which weights the run ends with: the last ones, or the best of its validations."""
    patience: int | None = None
    """Stop after so many validations in a row without a new best."""


@dataclass(frozen=True)
class Patch:
    """Train a Knowledge Patcher on the train split of a manifest.

    On several GPUs or processes: torchrun --nproc_per_node 2 -m paxion patch ... A run that was stopped goes on where
    it was when the same command is given again.
    """

    manifest: Annotated[Path, tyro.conf.Positional]
    out: Path = Path("runs/patcher")
    """Folder of the adapter, its log, its checkpoints and its config.json."""
    recipe: str = "patcher"
    """What is trained, on which objectives.
    Ours: patcher (small, for small data), default (the same at the paper's size, for real backbones),
    patcher-questions (on questions).
    The paper's objectives, small: patcher-vtc, patcher-dvdm, patcher-pooled, kp-transformer.
    Controls: patcher-vtc-differences, patcher-last-frame.
    With --start, trained on: patcher-continued, patcher-ft, kp-transformer-ft.
    As published: paper-vtc, paper-dvdm, paper-dvdm-ego4d, paper-transformer, paper-nextqa-patcher, paper-nextqa-ft,
    paper-nextqa-transformer; with --start paper-ft, paper-ft-template, paper-transformer-ft,
    paper-transformer-ft-template."""
    backbone: str | None = None
    """A name such as hf:openai/clip-vit-base-patch32; paxion models lists what there is. Default: what --start was
    trained on, else world."""
    start: Path | None = None
    """Adapter to go on from (KP-FT in the paper). It keeps its sizes; the recipe says how it is trained on."""
    store: Path = Path("features")
    """Folder of the feature store, filled where it lacks clips."""
    dtype: str = "float16"
    """How the store keeps tokens: float16, bfloat16, int8 or float32."""
    on_the_fly: bool = False
    """Encode the clips of every step instead of keeping features: no store, but a backbone pass per clip and epoch."""
    workers: int | None = None
    """Decoding processes. Default: by the cores."""
    seed: int = 0
    """Decides the first weights and the order of the clips."""
    save_every: float = 60.0
    """Seconds between two checkpoints; there is one at each epoch's end and on Ctrl-C or SIGTERM too."""
    track: tuple[str, ...] = ()
    """Further places to log to, offline: tensorboard, wandb, trackio (pip install 'paxion[track]')."""
    change: Change = field(default_factory=Change)


@dataclass(frozen=True)
class Fuse:
    """Train a Knowledge Fuser on top of a trained patcher.

    On several GPUs or processes: torchrun --nproc_per_node 2 -m paxion fuse ...
    """

    manifest: Annotated[Path, tyro.conf.Positional]
    patcher: Path
    """Folder made by paxion patch."""
    out: Path = Path("runs/fuser")
    """Folder of the adapter, its log, its checkpoints and its config.json."""
    recipe: str = "fuser"
    """What is trained, on which objectives.
    Ours, small: fuser (cross-attention), side-tuning (a learned weighted sum), fuser-templates (on templates),
    fuser-questions and side-tuning-questions (on questions).
    As published: paper-fuser, paper-fuser-template, paper-side-tuning, paper-side-tuning-template, paper-nextqa-fuser,
    paper-nextqa-side-tuning.
    Other kinds of fuser, and a frozen patcher: --change.fuser gated_xattn, --change.joint False."""
    backbone: str | None = None
    """Default: what the patcher was trained on."""
    store: Path = Path("features")
    """Folder of the feature store, filled where it lacks clips."""
    dtype: str = "float16"
    """How the store keeps tokens: float16, bfloat16, int8 or float32."""
    on_the_fly: bool = False
    """Encode the clips of every step instead of keeping features: no store, but a backbone pass per clip and epoch."""
    workers: int | None = None
    """Decoding processes. Default: by the cores."""
    seed: int = 0
    """Decides the first weights and the order of the clips."""
    save_every: float = 60.0
    """Seconds between two checkpoints; there is one at each epoch's end and on Ctrl-C or SIGTERM too."""
    track: tuple[str, ...] = ()
    """Further places to log to, offline: tensorboard, wandb, trackio (pip install 'paxion[track]')."""
    change: Change = field(default_factory=Change)


TRAINING_FUNCTIONS: dict[type, str] = {Patch: "patch", Fuse: "fuse"}
"""The function of training_commands.py behind each subcommand; its arguments are the fields."""
