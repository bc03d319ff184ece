"""Training low-rank updates of a backbone: clips go through it with their gradients, all else is as for a patcher."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from paxion.backbones.base import Backbone, Features
from paxion.features.ahead import ReadAhead
from paxion.features.pixels import Pixels
from paxion.features.spec import StoreSpec
from paxion.files import make_folder, write_text
from paxion.patching.accelerated import accelerated
from paxion.patching.batches import batches
from paxion.patching.data import TrainingData
from paxion.patching.interrupts import Interrupts
from paxion.patching.loop import Habits, all_steps
from paxion.patching.lora import Lora, LoraModel, inject
from paxion.patching.model import PatchedModel
from paxion.patching.recipe import Recipe
from paxion.patching.run import Run, surprises
from paxion.patching.run_state import cut_log, resume
from paxion.patching.spent import cost
from paxion.patching.step import losses
from paxion.patching.train import CONFIG
from paxion.processes import this_process
from paxion.records import PaxionError
from paxion.results import provenance
from paxion.video.controls import frame_order
from paxion.video.transform import normalise


class PixelFeatures:
    """A feature source (features/source.py) that encodes pixels with their gradients: pooled vectors alone.

    Where the features of a reordered clip follow from those of its frames, a batch is encoded once for all orders, and
    a clip and its reversal differ by rounding only.
    """

    reorderable = False

    def __init__(self, backbone: Backbone, pixels: Pixels, device: torch.device) -> None:
        self.backbone, self.pixels, self.device = backbone, pixels, device
        # The pooled vector of a reversed clip is not told by its tokens: it is to be read.
        self.spec: StoreSpec = replace(pixels.spec, per_frame=False)
        self._last: tuple[list[str], Features] | None = None

    def read(self, keys: Sequence[str], control: str = "none", seeds: Sequence[str] | None = None) -> Features:
        """The features of B clips under a control."""
        orders = torch.stack([frame_order(control, self.spec.frames, key) for key in keys])
        if self._last is None or self._last[0] != list(keys):
            straight = torch.arange(self.spec.frames).expand_as(orders)
            features = self._encode(keys, straight if self.backbone.per_frame else orders)
            if not order_blind(self.backbone, features):
                return features if control == "none" or not self.backbone.per_frame else self._encode(keys, orders)
            self._last = list(keys), features
        return self._last[1].reordered(orders.to(self.device))

    def prefetch(self, keys: Sequence[str]) -> None:
        """Nothing: `expect` does it."""

    def expect(self, batches: Sequence[Sequence[str]]) -> None:
        """Begin to decode what the next step reads, and let go of what the last one has encoded."""
        self._last = None
        self.pixels.expect(batches)

    def _encode(self, keys: Sequence[str], orders: Tensor) -> Features:
        transform = self.backbone.transform
        clips = self.pixels.read(keys)[torch.arange(len(keys))[:, None], orders].to(self.device)
        try:
            features = self.backbone.encode_video(normalise(clips, transform.mean, transform.std))
        except torch.OutOfMemoryError:
            raise PaxionError(
                f"got a batch of {len(clips)} clips, too many for the memory of {self.device}, as the backbone is "
                "trained; give a smaller --batch, or --accumulate"
            ) from None
        vectors = features.frame_vectors if self.backbone.per_frame else None
        return Features(features.pooled.float(), None, None if vectors is None else vectors.float())


def order_blind(backbone: Backbone, features: Features) -> bool:
    """Whether a clip's pooled vector is the mean of its frames', whatever the weights."""
    return backbone.per_frame and features.frame_vectors is not None


class LoraStep(nn.Module):
    """The losses of a batch as a module; with the text tower in training, its texts are encoded anew each time."""

    def __init__(
        self, model: LoraModel, recipe: Recipe, data: TrainingData, device: torch.device, texts: Backbone | None
    ) -> None:
        """data: its source encodes with gradients. texts: the backbone where its text tower is trained."""
        super().__init__()
        self.model, self.recipe, self.data, self.device = model, recipe, data, str(device)
        self._texts = (texts,)  # in a tuple, so that it is no part of the module

    def forward(self, rows: list[int], drawn: int) -> dict[str, Tensor]:
        """The weighted objectives of some rows."""
        (texts,), places = self._texts, torch.tensor(rows)
        data = self.data if texts is None else retold(self.data, texts, places, templates=bool(self.recipe.template))
        return losses(cast(PatchedModel, self.model), self.recipe, data, places, self.device, drawn)


def retold(data: TrainingData, backbone: Backbone, rows: Tensor, *, templates: bool) -> TrainingData:
    """Training data whose text vectors are encoded anew, with their gradients: those of some rows; the others are zero.

    templates: those of the templates too.
    """
    read = [data.captions[rows], data.antonyms[rows]]
    if data.questions is not None:
        read += [data.questions.choices[rows].flatten(), data.questions.further[rows].flatten()]
    numbers: Tensor = torch.cat(read).unique()  # type: ignore[no-untyped-call]
    numbers = numbers[numbers > 0]
    number_of = len(data.texts) - 1
    encoded = backbone.encode_texts([data.words[number - 1] for number in numbers.tolist()]).float()
    table = encoded.new_zeros(len(data.texts), encoded.shape[-1]).index_copy(0, numbers.to(encoded.device), encoded)
    if not templates or not len(data.templates):
        return replace(data, texts=table)
    return replace(data, texts=table, templates=backbone.encode_texts(list(data.words[number_of:])).float())


@dataclass(frozen=True)
class _Faultless:
    """A feature source for the report on a loss that is no number: pixels are always numbers."""

    spec: StoreSpec
    reorderable: bool = False

    def read(self, keys: Sequence[str], control: str = "none", seeds: Sequence[str] | None = None) -> Features:
        return Features(torch.zeros(len(keys), 1))

    def prefetch(self, keys: Sequence[str]) -> None:
        return None


def train_lora(
    recipe: Recipe,
    lora: Lora,
    backbone: Backbone,
    data: TrainingData,
    pixels: Pixels,
    folder: Path,
    *,
    seed: int = 0,
    device: str = "cpu",
    save_every: float = 60.0,
    log_every: int = 500,
    about: Mapping[str, Any] | None = None,
    tell: Callable[[str], object] = lambda line: None,
    tick: Callable[[dict[str, float]], object] = lambda line: None,
    advance: Callable[[int, int], object] = lambda done, steps: None,
) -> tuple[LoraModel, dict[str, Any]]:
    """Train low-rank updates of a backbone by a recipe's objectives; returns them, and what config.json says.

    The backbone is changed in place: it holds the matrices afterwards. It stays in eval mode throughout. The folder
    gets what a patcher's gets (patching/train.py), and the same call goes on where a run was stopped, to the same
    weights bit for bit on a CPU. Of the recipe count the objectives and how long and how fast they are trained: a
    patcher's sizes and the noise on tokens have no place here.

    Args:
        data: the clips and texts; what its source gives is not read.
        pixels: the clips of its keys.
        seed, device, save_every, log_every, about, tell, tick, advance: as for a patcher.

    Raises:
        PaxionError: peft is not there; the recipe or a target does not fit; the folder holds another training; the loss
            is not finite; there are several processes.
        KeyboardInterrupt: told to stop, and kept what was done.
    """
    check_recipe(recipe)
    if this_process().world > 1:
        raise PaxionError("got several processes, expected one: paxion lora trains in one process only")
    if not save_every >= 0:
        raise PaxionError(f"got save_every {save_every}, expected 0 or more seconds")
    make_folder(folder)
    with accelerated(device, recipe.precision) as accelerator, Interrupts() as interrupts:
        steps = batches(recipe, len(data), seed, this_process())
        blind = order_blind(backbone, black(backbone, accelerator.device))
        model = inject(backbone, lora, seed)
        optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay, fused=True)
        description = {
            "recipe": asdict(recipe), "lora": {**asdict(lora), "targets": list(lora.targets)}, "seed": seed,
            "data": data.digest, "features": data.source.spec.folder, "processes": 1,
        }  # fmt: skip
        patched = cast(PatchedModel, model)
        state = resume(folder, patched, optimiser, description)
        source = PixelFeatures(backbone, pixels, accelerator.device)
        texts = backbone if lora.towers == "both" else None
        step = LoraStep(model, recipe, replace(data, source=source), accelerator.device, texts)
        run = Run(
            folder, recipe, replace(data, source=_Faultless(source.spec)), cast(ReadAhead, source), steps, accelerator,
            patched, accelerator.prepare_model(step), optimiser, state, description,
        )  # fmt: skip
        cut_log(folder, state)
        config = provenance(**description, device=str(accelerator.device), **dict(about or {}))
        config |= {"left_out": dict(data.left_out)}
        config["backbone"] = {"name": backbone.name, "revision": backbone.revision}
        _tell(folder, config, model, state)
        for line in [*surprises(run), *([_BLIND.format(backbone.name)] if blind and recipe.atm else [])]:
            tell(line)
        all_steps(run, Habits(save_every, log_every, lambda values, at: None, tick, advance), interrupts)
        told = _tell(folder, config, model, state)
    return model.eval(), told


_BLIND = (
    "{} gives a clip and its reversal the same vector whatever its weights, so ATM trains nothing; a patcher can tell "
    "them apart"
)


def check_recipe(recipe: Recipe) -> None:
    """Raise PaxionError for a recipe that trains something else than vectors of clips and texts."""
    if recipe.fuser is not None:
        raise PaxionError(f"got a recipe with the fuser {recipe.fuser}, expected one that trains a patcher")
    if recipe.validate:
        raise PaxionError(f"got validate {recipe.validate}, expected 0: paxion lora does not validate")


@torch.no_grad()
def black(backbone: Backbone, device: torch.device) -> Features:
    """The features of a black clip: what kinds of them a backbone gives."""
    size = backbone.transform.size
    return backbone.encode_video(torch.zeros(1, backbone.frames, 3, size, size, device=device))


def _tell(folder: Path, config: Mapping[str, Any], model: LoraModel, state: Any) -> dict[str, Any]:
    """Write config.json, with what the run has cost so far."""
    told = {**config, "cost": cost(model, state)}
    write_text(folder / CONFIG, json.dumps(told, indent=1, default=str) + "\n")
    return told
