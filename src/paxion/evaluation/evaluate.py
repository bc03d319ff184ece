"""One encoder, one data set: every probe, control and retrieval asked for, from cached features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from paxion.backbones.base import Encoder, Features, text_vectors
from paxion.evaluation.probes import Choices, antonym_scores, object_scores, probe_rows, probe_score, reversal_scores
from paxion.evaluation.retrieval import text_to_video, video_to_action, video_to_text
from paxion.features.source import FeatureSource
from paxion.features.spec import BLIND
from paxion.records import TASKS, PaxionError, Row, Sample, Score, unknown_name
from paxion.results import Missed
from paxion.video.controls import CONTROLS, frame_order

MIRRORS = {"none": "reversed", "reversed": "none", "first": "last", "last": "first", BLIND: BLIND}
"""What a reversed clip shows under a control, said as a control of the clip itself."""
RETRIEVERS = {"text_to_video": text_to_video, "video_to_text": video_to_text, "video_to_action": video_to_action}


@dataclass
class Evaluation:
    """Scores and rows, and what could not be scored."""

    scores: list[Score] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)

    def add(self, other: Evaluation) -> None:
        """Take over another evaluation's results; a miss that is known already is not listed twice."""
        self.scores += other.scores
        self.rows += other.rows
        self.missed += [miss for miss in other.missed if miss not in self.missed]


def evaluate(
    encoder: Encoder,
    source: FeatureSource,
    keys: Mapping[str, str],
    samples: Sequence[Sample],
    *,
    data: str,
    tasks: Sequence[str] = TASKS,
    controls: Sequence[str] = ("none",),
    seed: int = 0,
    reasons: Mapping[str, str] | None = None,
    batch: int = 256,
    device: str = "cpu",
) -> Evaluation:
    """Score an encoder on the samples whose clip the source has (keys: sample id to key; reasons: why one is missing).

    Probes are scored under every control, retrieval on the clips as they are. The reversal probe compares the
    controlled clip with the controlled reversal: under `first`, the first frame with the last one. Shuffled frames are
    drawn from the sample id and the seed, by backbones whose features can be reordered; for others there is one
    shuffled clip and no shuffled reversal: their reversal probe is missed under that control.
    Raises PaxionError for an unknown task or control.
    """
    for kind, names, known in (("task", tasks, TASKS), ("control", controls, CONTROLS)):
        for name in names:
            if name not in known:
                raise unknown_name(kind, name, known)
    result = Evaluation(missed=unreadable(samples, keys, data, reasons or {}))
    present = [sample for sample in samples if sample.id in keys]
    if not present:
        raise PaxionError(f"none of the {len(samples)} clips of {data} can be read; check the manifest's paths")
    texts = [t for s in present for t in (s.caption, s.antonym, s.replaced, s.template) if t is not None]
    text = text_vectors(encoder, texts)
    for control in controls:
        turns = source.reorderable or mirror(control, source.spec.frames) is not None
        both = "reversal" in tasks and turns
        clips, backwards = _vectors(encoder, source, keys, present, control, both, seed, batch, device)
        labels = {"model": encoder.name, "data": data, "control": control, "seed": seed}
        for task in tasks:
            if task in RETRIEVERS:
                if control == "none":
                    found = RETRIEVERS[task](clips, present, text, model=encoder.name, data=data, seed=seed)
                    result.scores += found.scores
                    result.rows += found.rows
                    result.missed += [Missed(data, task, why, count) for why, count in found.skipped.items()]
                continue
            if task == "reversal" and not turns:
                why = f"reversal under {control} needs a per-frame backbone"
                result.missed.append(Missed(data, task, why, sum(s.reversible is not False for s in present)))
                continue
            choices = _choose(task, clips, backwards, present, text)
            if control == controls[0]:
                result.missed += [Missed(data, task, why, count) for why, count in choices.skipped.items()]
            rows = probe_rows(choices, present, **labels)  # type: ignore[arg-type]
            if rows:
                result.rows += rows
                result.scores.append(probe_score(rows))
    return result


def unreadable(
    samples: Sequence[Sample], keys: Mapping[str, str], data: str, reasons: Mapping[str, str]
) -> list[Missed]:
    """One miss for all samples without a key: they are in no task's n."""
    absent = tuple(sample.id for sample in samples if sample.id not in keys)
    if not absent:
        return []
    first = f" ({reasons[absent[0]]})" if absent[0] in reasons else ""
    return [Missed(data, "all", f"clip cannot be read{first}", len(absent), absent[:5])]


def _choose(
    task: str, clips: Tensor, backwards: Tensor | None, samples: Sequence[Sample], text: Mapping[str, Tensor]
) -> Choices:
    if task == "reversal":
        assert backwards is not None
        return reversal_scores(clips, backwards, samples, text)
    return (antonym_scores if task == "antonym" else object_scores)(clips, samples, text)


def _vectors(
    encoder: Encoder,
    source: FeatureSource,
    keys: Mapping[str, str],
    samples: Sequence[Sample],
    control: str,
    both: bool,
    seed: int,
    batch: int,
    device: str,
) -> tuple[Tensor, Tensor | None]:
    """Vectors (B, Q, D) of the clips under a control and, if both, of the same clips played backwards."""
    forward: list[Tensor] = []
    backward: list[Tensor] = []
    for start in range(0, len(samples), batch):
        part = samples[start : start + batch]
        wanted = [keys[sample.id] for sample in part]
        seeds = [f"{sample.id}/{seed}" for sample in part]
        forward.append(_encode(encoder, source.read(wanted, control, seeds), device))
        if both:
            backward.append(_encode(encoder, _turned(source, wanted, control, seeds), device))
    return torch.cat(forward), torch.cat(backward) if both else None


def mirror(control: str, frames: int) -> str | None:
    """The control of a clip that shows what its reversal shows under `control`; None if there is none."""
    if control == "middle" and frames % 2:
        return control
    return MIRRORS.get(control)


def _turned(source: FeatureSource, keys: Sequence[str], control: str, seeds: Sequence[str]) -> Features:
    """The features of the reversed clips under a control."""
    same = mirror(control, source.spec.frames)
    if same is not None:
        return source.read(keys, same, seeds)
    orders = torch.stack([frame_order(control, source.spec.frames, seed) for seed in seeds])
    return source.read(keys, "reversed").reordered(orders)


def _encode(encoder: Encoder, features: Features, device: str) -> Tensor:
    tokens = None if features.tokens is None else features.tokens.to(device)
    with torch.inference_mode():
        return encoder.encode_clips(Features(features.pooled.to(device), tokens)).float().cpu()
