"""Weights in the layout of the published checkpoints: parameter names to ours and back.

A published file holds, under "model", the state of the whole network, backbone included. Pass that state. Nothing is
dropped in silence: only the parts named below as belonging to something else are passed over. Source of the names:
published code.
"""

from __future__ import annotations

import re

from torch import Tensor

from paxion.patching.model import PatchedModel
from paxion.patching.patcher import KnowledgePatcher
from paxion.records import PaxionError

# What a checkpoint may hold besides: the frozen backbone, and the other of the two things that are read here.
_NOT_PATCHER = ("vl_backbone.", "knowledge_fuser.", "alpha")
_NOT_FUSER = ("vl_backbone.", "vision_perceiver.", "vision_adaptor.", "temporal_embedding")

_ATTENTION = {
    "norm_media.weight": "norm_media.weight",
    "norm_media.bias": "norm_media.bias",
    "norm_latents.weight": "norm_query.weight",
    "norm_latents.bias": "norm_query.bias",
    "to_q.weight": "query.weight",
    "to_kv.weight": "key_value.weight",
    "to_out.weight": "out.weight",
}
_FUSER_NORMS = {"norm_media": "norm_kv", "norm_latents": "norm_q"}
_FEED_FORWARD = ("0.weight", "0.bias", "1.weight", "3.weight")
_TRANSFORMER = {
    "self_attn.in_proj_": "qkv.",
    "self_attn.out_proj.": "out.",
    "linear1.": "mlp.0.",
    "linear2.": "mlp.3.",
    "norm1.": "attention_norm.",
    "norm2.": "mlp_norm.",
}


def model_to_official(model: PatchedModel) -> dict[str, Tensor]:
    """A model's own weights by their published names, without the frozen projection of a KP-Transformer.

    Published files have one temperature: with a fuser it is the fuser's, which is the one in use. Writing into what is
    returned writes into the model.

    Raises:
        PaxionError: a part of the patcher has no published counterpart.
    """
    perceives = isinstance(model.patcher, KnowledgePatcher)
    state = (patcher_to_official if perceives else transformer_to_official)(model.patcher.state_dict())
    return state if model.fuser is None else state | fuser_to_official(model.fuser.state_dict())


def patcher_from_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of a KnowledgePatcher from a published one; the depth and the temporal embedding are found in it.

    Names that start with `knowledge_perceiver.`, from older files, are understood.

    Raises:
        PaxionError: a key is missing, or is neither the patcher's nor known to belong to the backbone or the fuser.
    """
    state = _without(state, _NOT_PATCHER)
    return _renamed(state, _patcher_names(state))


def patcher_to_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `patcher_from_official`.

    Raises:
        PaxionError: a key is missing, or has no published counterpart (spatial embedding, difference tokens).
    """
    return _renamed(state, _inverse(_patcher_names(state)))


def fuser_from_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of a KnowledgeFuser from a published one; its kind is found in it.

    Published files have one temperature: it serves the patcher and the fuser.

    Raises:
        PaxionError: a key is missing, or is neither the fuser's nor known to belong to the backbone or the patcher.
    """
    state = _without(state, _NOT_FUSER)
    return _renamed(state, _fuser_names(state))


def fuser_to_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `fuser_from_official`.

    Raises:
        PaxionError: a key is missing or unknown.
    """
    return _renamed(state, _inverse(_fuser_names(state)))


def transformer_to_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The published state of a TransformerPatcher from ours; the projection, which is the backbone's, is passed over.

    Raises:
        PaxionError: a key is missing or unknown.
    """
    names = {
        f"layer.{ours}{kind}": f"vision_adaptor.transformer_encoder.layers.0.{theirs}{kind}"
        for theirs, ours in _TRANSFORMER.items()
        for kind in ("weight", "bias")
    }
    own = {key: value for key, value in state.items() if not key.startswith("projection.")}
    return _renamed(own, {"temperature": "temp", **names})


def _patcher_names(state: dict[str, Tensor]) -> dict[str, str]:
    """Published name to ours, for a patcher like the one in `state`, which is in either layout."""
    names = {"temp": "temperature"}
    if "temporal_embedding" in state:
        names["temporal_embedding"] = "temporal_embedding"
    for key in ("latents", "norm.weight", "norm.bias"):
        names[f"vision_perceiver.{key}"] = f"perceiver.{key}"
    layers = [int(found[1]) for key in state if (found := re.search(r"perceiver\.layers\.(\d+)\.", key))]
    for layer in range(max(layers, default=0) + 1):
        theirs, ours = f"vision_perceiver.layers.{layer}", f"perceiver.layers.{layer}"
        names |= {f"{theirs}.0.{key}": f"{ours}.attention.{value}" for key, value in _ATTENTION.items()}
        names |= {f"{theirs}.1.{key}": f"{ours}.feed_forward.{key}" for key in _FEED_FORWARD}
    return names


def _fuser_names(state: dict[str, Tensor]) -> dict[str, str]:
    """The same for a fuser."""
    names = {"temp": "temperature"}
    if "alpha" in state or "mix" in state:
        return names | {"alpha": "mix"}
    for key, value in _ATTENTION.items():
        module, _, kind = key.partition(".")
        names[f"knowledge_fuser.attn.{_FUSER_NORMS.get(module, module)}.{kind}"] = f"block.attention.{value}"
    names |= {f"knowledge_fuser.ff.{key}": f"block.feed_forward.{key}" for key in _FEED_FORWARD}
    if any(key.endswith("_gate") for key in state):
        names["knowledge_fuser.attn_gate"] = "block.attention_gate"
        names["knowledge_fuser.ff_gate"] = "block.feed_forward_gate"
    return names


def modern(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A published state in today's spelling: older files say knowledge_perceiver for vision_perceiver.

    Raises PaxionError for a state that has both.
    """
    if len({key.partition(".")[0] for key in state} & {"knowledge_perceiver", "vision_perceiver"}) == 2:
        raise PaxionError("got keys of knowledge_perceiver and of vision_perceiver, expected one: they mean the same")
    return {re.sub("^knowledge_perceiver", "vision_perceiver", key): value for key, value in state.items()}


def _without(state: dict[str, Tensor], foreign: tuple[str, ...]) -> dict[str, Tensor]:
    """The published state in today's spelling, less the keys that start with `foreign`."""
    return {key: value for key, value in modern(state).items() if not key.startswith(foreign)}


def _renamed(state: dict[str, Tensor], names: dict[str, str]) -> dict[str, Tensor]:
    missing, unknown = sorted(names.keys() - state.keys()), sorted(state.keys() - names.keys())
    if missing or unknown:
        got = [f"{label} {', '.join(keys)}" for label, keys in (("missing:", missing), ("unknown:", unknown)) if keys]
        raise PaxionError(f"got a checkpoint with {'; '.join(got)}; expected exactly the published parameters")
    return {ours: state[theirs] for theirs, ours in names.items()}


def _inverse(names: dict[str, str]) -> dict[str, str]:
    return {ours: theirs for theirs, ours in names.items()}
