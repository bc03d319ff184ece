"""Does a text tower tell a caption from its antonym? If not, no patcher on frozen texts can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from paxion.backbones.base import Backbone, Encoder, normalise, text_vectors
from paxion.records import PaxionError

APART, TOGETHER = 0.90, 0.98
"""Mean cosines between caption and antonym. In the embedded world patching works at 0.7 and does nothing at 0.99."""

PAIRS = (
    ("opening the drawer", "closing the drawer"),
    ("a person opens the fridge door", "a person closes the fridge door"),
    ("turning on the light", "turning off the light"),
    ("picking up a cup from the table", "putting down a cup on the table"),
    ("lifting the box", "lowering the box"),
    ("pushing the chair to the left", "pushing the chair to the right"),
    ("moving the bottle away from the camera", "moving the bottle towards the camera"),
    ("a book falling off the shelf", "a book rising onto the shelf"),
    ("putting the spoon into the bowl", "taking the spoon out of the bowl"),
    ("filling the glass with water", "emptying the glass of water"),
    ("folding the towel", "unfolding the towel"),
    ("plugging the cable into the socket", "unplugging the cable from the socket"),
    ("screwing the lid on the jar", "unscrewing the lid from the jar"),
    ("covering the pot with a lid", "uncovering the pot"),
    ("a man puts on his jacket", "a man takes off his jacket"),
    ("zipping up the bag", "unzipping the bag"),
    ("the car drives forwards", "the car drives backwards"),
    ("a child climbs up the ladder", "a child climbs down the ladder"),
    ("a woman enters the room", "a woman leaves the room"),
    ("the dog runs towards the ball", "the dog runs away from the ball"),
    ("pulling the rope", "pushing the rope"),
    ("throwing the ball", "catching the ball"),
    ("attaching the wheel to the toy car", "detaching the wheel from the toy car"),
    ("loading the dishwasher", "unloading the dishwasher"),
    ("locking the door with a key", "unlocking the door with a key"),
    ("inflating a balloon", "deflating a balloon"),
    ("rolling up the carpet", "unrolling the carpet"),
    ("a man sits down on the sofa", "a man stands up from the sofa"),
    ("raising the blinds", "lowering the blinds"),
    ("tying the shoelaces", "untying the shoelaces"),
    ("the ice is melting in the pan", "the ice is freezing in the pan"),
    ("stacking three cups", "unstacking three cups"),
    ("turning the knob clockwise", "turning the knob counterclockwise"),
    ("starting the engine", "stopping the engine"),
    ("wrapping the gift in paper", "unwrapping the gift"),
    ("squeezing the sponge", "releasing the sponge"),
    ("packing the suitcase", "unpacking the suitcase"),
    ("connecting the two pipes", "disconnecting the two pipes"),
    ("the sun rises over the sea", "the sun sets over the sea"),
    ("speeding up the bicycle", "slowing down the bicycle"),
)  # fmt: skip
"""Captions and antonyms of everyday actions, one sentence differing in the action alone."""


@dataclass(frozen=True)
class Separation:
    """How far a text tower holds captions and antonyms apart."""

    antonym: float
    """Mean cosine between a caption and its antonym."""
    unrelated: float
    """Mean cosine between captions of different pairs: what the tower makes of two sentences about other things."""
    same: int
    """Pairs that it cannot tell apart at all: both texts have one vector."""
    pairs: int


@torch.inference_mode()
def separation(model: Backbone | Encoder, pairs: Sequence[tuple[str, str]] = PAIRS) -> Separation:
    """The cosines of a text tower's vectors for (caption, antonym) pairs; raises PaxionError when there are none."""
    if not pairs:
        raise PaxionError("got no pair of caption and antonym, expected some to measure the antonym cosine on")
    # In float: unit vectors of half precision are off by more than what tells one vector from another.
    texts = text_vectors(model, [text for pair in pairs for text in pair])
    vectors = {text: normalise(vector) for text, vector in texts.items()}
    cosines = torch.stack([vectors[caption] @ vectors[antonym] for caption, antonym in pairs])
    captions = torch.stack([vectors[caption] for caption in dict.fromkeys(caption for caption, _ in pairs)])
    among = captions @ captions.T
    others = among[~torch.eye(len(among), dtype=torch.bool)]
    return Separation(
        antonym=float(cosines.mean()),
        unrelated=float(others.mean()) if len(others) else float("nan"),
        same=int((cosines > 1 - 1e-5).sum()),
        pairs=len(pairs),
    )


def separation_verdict(found: Separation) -> str:
    """What the cosines mean for patching, in a sentence."""
    if found.same > found.pairs / 2:
        return (
            f"gives caption and antonym the same vector in {found.same} of {found.pairs} pairs: it does not know these "
            "words; measure on captions of its own (--manifest)"
        )
    if found.antonym >= TOGETHER:
        return "does not separate captions from antonyms: patching can hardly help while the texts stay frozen"
    if found.antonym > APART:
        return "separates captions from antonyms a little: patching may help; measure it"
    return "separates captions from antonyms: patching can help"
