"""What a training begins with: a fresh model of the recipe's sizes, or what was trained before."""

from __future__ import annotations

from paxion.backbones.base import Backbone, token_projection
from paxion.patching.baselines import TransformerPatcher
from paxion.patching.model import PatchedModel
from paxion.patching.recipe import Recipe
from paxion.records import PaxionError


def beginning(recipe: Recipe, backbone: Backbone, start: PatchedModel | None = None) -> PatchedModel:
    """The model that a training begins with: the recipe's for this backbone, or what was trained before.

    start: its patcher is taken as it is, with its own sizes and temperature, and so is its fuser if the recipe has one
    of that kind; a recipe without a fuser trains the patcher alone. A new fuser has the default temperature; by
    protocol paper it goes on with the patcher's, as published: there is one temperature for both.

    Raises PaxionError when the recipe cannot be trained on the backbone.
    """
    if not backbone.tokens_per_frame:
        raise PaxionError(f"{backbone.name} gives no tokens, which a patcher reads: it can be probed, not patched")
    sizes = backbone.dim, backbone.token_width
    fuser = recipe.fuser_config(*sizes)
    if start is None:
        projection = token_projection(backbone)
        try:
            config = recipe.patcher_config(*sizes, backbone.frames, backbone.tokens_per_frame, projection)
        except ValueError as error:
            raise PaxionError(f"the recipe does not fit {backbone.name}: {error}") from None
        model = PatchedModel(config, fuser)
        if isinstance(model.patcher, TransformerPatcher):
            model.patcher.read_projection(projection)
        return model
    patcher = start.patcher.config
    architecture = "transformer" if isinstance(start.patcher, TransformerPatcher) else "perceiver"
    if recipe.architecture != architecture or (recipe.pooled and not getattr(patcher, "pooled", False)):
        wanted = f"a pooled {recipe.architecture}" if recipe.pooled else f"a {recipe.architecture}"
        raise PaxionError(
            f"got a {architecture} to start from, expected {wanted}, as the recipe has; take another recipe"
        )
    kept = start.fuser
    if kept is not None and kept.config.kind != recipe.fuser:
        kept = None
    model = PatchedModel(patcher, fuser if kept is None else kept.config)
    model.patcher.load_state_dict(start.patcher.state_dict())
    if model.fuser is not None and kept is not None:
        model.fuser.load_state_dict(kept.state_dict())
    elif model.fuser is not None and recipe.protocol == "paper":
        model.fuser.temperature.data.copy_(start.patcher.temperature.data)
    return model
