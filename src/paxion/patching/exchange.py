"""Published checkpoints to adapter folders and back.

A published file holds {"model": state, "epoch": ..., ...}; its state is that of the whole network, the frozen backbone
(`vl_backbone.`) included. Sizes are told by the shapes, except for what shapes cannot tell: heads, and pooling.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from paxion.backbones import clip_vip, internvideo, singularity
from paxion.backbones.base import Backbone, token_projection
from paxion.backbones.clip_vip import ClipVip
from paxion.backbones.internvideo import InternVideo
from paxion.backbones.published import Checkpoint
from paxion.backbones.singularity import Singularity
from paxion.backbones.state import digest, read_file, tensors, under
from paxion.files import write_bytes
from paxion.patching.baselines import TransformerConfig, TransformerPatcher, transformer_config
from paxion.patching.checkpoint import read_adapter, save_adapter
from paxion.patching.fuser import FuserConfig, FuserKind
from paxion.patching.model import PatchedModel
from paxion.patching.official import model_to_official, modern
from paxion.patching.patcher import PatcherConfig
from paxion.records import PaxionError

HEAD = 64
"""Width of a published head."""
_PUBLISHED: tuple[tuple[type[nn.Module], Callable[[Any], dict[str, Tensor]], str], ...] = (
    (InternVideo, internvideo.published_state, ""),
    (ClipVip, clip_vip.published_state, "clipmodel."),
    (Singularity, singularity.published_state, ""),
)
"""Backbones whose weights are known by their published names, and what starts these in a whole model."""


def import_official(
    checkpoint: Path,
    backbone: Backbone,
    out: Path,
    *,
    name: str | None = None,
    heads: int | None = None,
    pooled: bool = False,
    source: str | None = None,
) -> dict[str, Any]:
    """Write the patcher (and fuser) or KP-Transformer of a published checkpoint as an adapter folder on a backbone.

    What parity means: in eval mode the adapter gives the numbers of the published model in eval mode. The published
    training ran the frozen backbone in train mode, with its dropout live: InternVideo's perturbs the pooled vector
    (which fusers and side tuning read) and not the tokens, Singularity's perturbs texts, tokens and pooled vector,
    CLIP-ViP has none.
    Such numbers are random, so nothing can be equal to them; training on an imported adapter has no such dropout.

    Args:
        checkpoint: a published file, or a flat state of the same names; whole networks and files without the backbone.
        backbone: what the adapter goes onto. A backbone that is in the file must be equal to it.
        out: the adapter folder.
        name: what results call the adapter; the file's name if None.
        heads: of every attention; by default as many as are 64 wide, and 8 in a KP-Transformer.
        pooled: the patcher gives the mean of its latents (a switch of the published configuration).
        source: what `load_backbone` was given.

    Returns:
        What the card's provenance says of the import: file, digest, epoch, and "backbone": equal, not in the file, or
        not compared.

    Raises:
        PaxionError: names the file and the first key (in today's spelling) that is missing, unexpected, of a wrong
            shape or not finite, or that differs from the backbone; also for a dual patcher, whose text Perceiver is
            not supported.

    Source of the layout: Paxion (NeurIPS 2023), published code.
    """
    content = read_file(checkpoint)
    if "state_dict" in content and "model" not in content:
        raise PaxionError(f"{checkpoint} is a backbone's checkpoint and holds no patcher; give one of Paxion's")
    state = tensors(content, checkpoint, "model" if "model" in content else None)
    own = modern({key: value for key, value in state.items() if not key.startswith("vl_backbone.")})
    for key in own:
        if key.startswith(("text_perceiver.", "text_adaptor.")):
            raise PaxionError(
                f"{checkpoint}: key {key!r} is of a model that also adapts texts, which reads the tokens of a text; "
                "here texts keep the backbone's vectors, so give a checkpoint without it"
            )
    model = _model(Checkpoint(checkpoint, "", own), backbone, heads, pooled)
    epoch = content.get("epoch")
    imported = {
        "file": checkpoint.name,
        "digest": digest(checkpoint),
        "epoch": epoch if isinstance(epoch, int) else None,
        "backbone": _compare(under(state, "vl_backbone."), backbone, checkpoint),
    }
    save_adapter(out, name or checkpoint.stem, model, backbone, None, {"imported": imported}, source)
    return imported


def export_official(adapter: Path, out: Path) -> None:
    """Write an adapter as a published checkpoint, {"model": state}, without the backbone.

    The published code takes missing keys for granted, so it loads such a file over the backbone that it has loaded
    from its own. The number of latents and of frames, heads and pooling belong in its configuration.

    Raises PaxionError when the folder is no adapter, or holds what the published layout cannot say.
    """
    model = read_adapter(adapter).model
    config, fuser = model.patcher.config, None if model.fuser is None else model.fuser.config
    ours = {
        "a spatial embedding": getattr(config, "spatial_embedding", False),
        "difference tokens": getattr(config, "difference_tokens", False),
        "a learned projection": getattr(config, "projection", None) == "learned",
        "a fuser that reads vectors of length sqrt(D)": fuser is not None
        and fuser.kind in ("xattn", "gated_xattn")
        and not fuser.raw_pooled,
    }
    for part, present in ours.items():
        if present:
            raise PaxionError(
                f"{adapter} has {part}, which published models do not have; train it without to export it"
            )
    state = {key: value.detach().clone() for key, value in model_to_official(model).items()}
    data = io.BytesIO()
    torch.save({"model": state}, data)
    write_bytes(out, data.getvalue())


def _model(own: Checkpoint, backbone: Backbone, heads: int | None, pooled: bool) -> PatchedModel:
    """The model of a published state, for a backbone."""
    if not backbone.tokens_per_frame:
        raise PaxionError(f"{backbone.name} gives no tokens, which a patcher reads: give the backbone of {own.path}")
    if not own.tensors:
        raise PaxionError(f"{own.path} holds no patcher; give a checkpoint of the published Paxion code")
    fuser = _fuser_config(own, backbone, heads)
    if any(key.startswith("vision_adaptor.") for key in own.tensors):
        model = PatchedModel(_transformer_config(own, backbone, heads), fuser)
    else:
        model = PatchedModel(_patcher_config(own, backbone, heads, pooled), fuser)
    own.fill(model_to_official(model))
    with torch.no_grad():
        model.patcher.temperature.copy_(model.temperature)
        if isinstance(model.patcher, TransformerPatcher):
            model.patcher.read_projection(token_projection(backbone))
    return model


def _patcher_config(own: Checkpoint, backbone: Backbone, heads: int | None, pooled: bool) -> PatcherConfig:
    depth = 1
    while any(key.startswith(f"vision_perceiver.layers.{depth}.") for key in own.tensors):
        depth += 1
    coded = "temporal_embedding" in own.tensors
    frames = own.shape("temporal_embedding", 2)[0] if coded else backbone.frames
    if frames != backbone.frames:
        raise PaxionError(
            f"{own.path}: key 'temporal_embedding' is for {frames} frames, got a backbone with {backbone.frames}; "
            f"load it with frames={frames}"
        )
    number, width = _heads("vision_perceiver.layers.0.0.to_q.weight", own, heads)
    return PatcherConfig(
        backbone.dim, backbone.token_width, frames, backbone.tokens_per_frame, depth=depth, heads=number,
        dim_head=width, latents=own.shape("vision_perceiver.latents", 2)[0],
        ff_mult=_times("vision_perceiver.layers.0.1.1.weight", own, backbone.dim), temporal_embedding=coded,
        pooled=pooled,
    )  # fmt: skip


def _transformer_config(own: Checkpoint, backbone: Backbone, heads: int | None) -> TransformerConfig:
    projection = token_projection(backbone)
    if projection is None:
        raise PaxionError(
            f"{own.path} is a KP-Transformer, which needs a backbone with a projection; got {backbone.name}"
        )
    usual = transformer_config(backbone.dim, backbone.token_width, projection)
    if heads is not None and (heads < 1 or backbone.token_width % heads):
        raise PaxionError(f"got heads {heads}, expected a divisor of the token width {backbone.token_width}")
    hidden, _ = own.shape("vision_adaptor.transformer_encoder.layers.0.linear1.weight", 2)
    return replace(usual, heads=heads or usual.heads, hidden=hidden)


def _fuser_config(own: Checkpoint, backbone: Backbone, heads: int | None) -> FuserConfig | None:
    """The kind is told by its keys: only side tuning has alpha, only the gated one gates; xattn_v2 by its width.

    Where C = D, which no published model has, xattn_v2 cannot be told from xattn and is taken for it.
    """
    sizes = backbone.dim, backbone.token_width
    if "alpha" in own.tensors:
        return FuserConfig("side_tuning", *sizes, raw_pooled=True)
    if not any(key.startswith("knowledge_fuser.") for key in own.tensors):
        return None
    number, width = _heads("knowledge_fuser.attn.to_q.weight", own, heads)
    kind: FuserKind = "xattn"
    if any(key.endswith("_gate") for key in own.tensors):
        kind = "gated_xattn"
    elif backbone.dim != backbone.token_width == own.shape("knowledge_fuser.attn.norm_kv.weight", 1)[0]:
        kind = "xattn_v2"
    ff_mult = _times("knowledge_fuser.ff.1.weight", own, backbone.dim)
    return FuserConfig(kind, *sizes, number, width, ff_mult, raw_pooled=True)


def _heads(key: str, own: Checkpoint, heads: int | None) -> tuple[int, int]:
    """The number of heads and their width, from the query projection's rows."""
    rows, _ = own.shape(key, 2)
    if heads is None and rows % HEAD:
        raise PaxionError(
            f"{own.path}: key {key!r} has {rows} rows, expected a multiple of {HEAD}; give the number of heads"
        )
    if heads is not None and (heads < 1 or rows % heads):
        raise PaxionError(f"{own.path}: key {key!r} has {rows} rows, expected a multiple of heads {heads}")
    return (rows // HEAD, HEAD) if heads is None else (heads, rows // heads)


def _times(key: str, own: Checkpoint, dim: int) -> int:
    """How many times D the rows of a feed-forward layer are."""
    rows, _ = own.shape(key, 2)
    if rows % dim:
        expected = f"expected a multiple of the joint width {dim}"
        raise PaxionError(f"{own.path}: key {key!r} has {rows} rows, {expected}; is it another backbone's?")
    return rows // dim


def _compare(in_file: Mapping[str, Tensor], backbone: Backbone, path: Path) -> str:
    """Whether the backbone in a file is the one that the adapter goes onto; refuse another one."""
    if not in_file:
        return "not in the file"
    known = next((entry for entry in _PUBLISHED if isinstance(backbone, entry[0])), None)
    if known is None:
        return "not compared"
    _, published_state, prefix = known
    for name, value in published_state(backbone).items():
        key = f"vl_backbone.{prefix}{name}"
        got = in_file.get(prefix + name)
        if got is None or got.shape != value.shape or not torch.equal(got.to(value.dtype), value.cpu()):
            differs = "is missing, but is" if got is None else "is not the same"
            raise PaxionError(
                f"{path}: key {key!r} {differs} in the given {backbone.name} {backbone.revision}; "
                f"load the backbone that is in the file: {backbone.name}:{path}"
            )
    return "equal"
