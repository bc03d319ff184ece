"""One encoder, one data set: every probe, control, retrieval and question asked for, from cached features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from paxion.backbones.base import Encoder, temperature_of
from paxion.evaluation.clips import clip_vectors
from paxion.evaluation.clips import mirror as mirror
from paxion.evaluation.methods import Mix
from paxion.evaluation.published import published_task
from paxion.evaluation.questions import unknown_hard
from paxion.evaluation.scoring import Evaluation as Evaluation
from paxion.evaluation.scoring import Seen, score_task
from paxion.evaluation.settings import DEFAULT, Settings
from paxion.evaluation.texts import texts_of
from paxion.features.source import FeatureSource
from paxion.records import PROBES, RETRIEVALS, TASKS, PaxionError, Sample, unknown_name
from paxion.results import Missed
from paxion.video.controls import CONTROLS


def evaluate(
    encoder: Encoder,
    source: FeatureSource,
    keys: Mapping[str, str],
    samples: Sequence[Sample],
    *,
    data: str,
    tasks: Sequence[str] = PROBES + RETRIEVALS,
    controls: Sequence[str] = ("none",),
    seed: int = 0,
    reasons: Mapping[str, str] | None = None,
    batch: int = 256,
    device: str = "cpu",
    settings: Settings = DEFAULT,
    beside: Encoder | None = None,
) -> Evaluation:
    """Score an encoder on the samples whose clip the source has (keys: sample id to key; reasons: why one is missing).

    Probes and questions are scored under every control, retrieval on the clips as they are. The reversal probe compares
    the controlled clip with the controlled reversal: under `first`, the first frame with the last one. Shuffled frames
    are drawn from the sample id and the seed, by backbones whose features can be reordered; for others there is one
    shuffled clip and no shuffled reversal: their reversal probe is missed under that control.
    settings: candidates, prompts, protocol and method (see `Settings`). beside: the unpatched backbone on the same
    source, which every method but `plain` needs; the model's name in the results then says the method.
    Vectors of many clips lie in a temporary file (see `clips.clip_vectors`).
    Raises PaxionError for an unknown task or control, and for a method without the backbone beside it.
    """
    for kind, names, known in (("task", tasks, TASKS), ("control", controls, CONTROLS)):
        for name in names:
            if name not in known:
                raise unknown_name(kind, name, known)
    method, paper = settings.method, settings.protocol == "paper"
    encoders = [encoder] if method.kind == "plain" else [encoder, beside]
    both = [each for each in encoders if each is not None]
    if len(both) < len(encoders):
        raise PaxionError(f"got the method {method.kind} without a backbone, expected its encoder as `beside`")
    result = Evaluation(missed=unreadable(samples, keys, data, reasons or {}))
    present = [sample for sample in samples if sample.id in keys]
    if not present:
        raise PaxionError(f"none of the {len(samples)} clips of {data} can be read; check the manifest's paths")
    if paper:
        # As published, the text of a clip that is missing stays a candidate.
        absent = [sample.caption for sample in samples if sample.id not in keys]
        settings = replace(settings, texts=tuple(dict.fromkeys([*settings.texts, *absent])))
    result.notes = notes(present, tasks, settings, data)
    texts = [texts_of(each, present, tasks, settings) for each in both]
    divisors = [temperature_of(each) for each in both] if paper or method.kind == "softmax-sum" else []
    applied = [task for task in tasks if not (task in PROBES and method.kind == "two-step")]
    result.missed += [
        Missed(data, task, "two-step does not apply to a choice of two", len(present))
        for task in tasks
        if task not in applied
    ]
    if "questions" in applied:
        result.missed += unknown_hard(samples, settings.hard, data)
    for control in controls:
        asked = [task for task in applied if task not in RETRIEVALS or control == "none"]
        turns = source.reorderable or mirror(control, source.spec.frames) is not None
        if "reversal" in asked and not turns:
            why = f"reversal under {control} needs a per-frame backbone"
            result.missed.append(Missed(data, "reversal", why, sum(s.reversible is not False for s in present)))
            asked.remove("reversal")
        if not asked:
            continue
        vectors = clip_vectors(
            both, source, keys, present, control=control, backwards="reversal" in asked, seed=seed, batch=batch,
            device=device,
        )  # fmt: skip
        mix = None
        if len(both) > 1:
            clips, backwards = vectors[1]
            mix = Mix(method, clips, texts[1].text, backwards, texts[1].actions, *divisors)
        clips, backwards = vectors[0]
        seen = Seen(method.named(encoder.name), data, present, control, seed, clips, backwards, texts[0], mix)
        for task in asked:
            found = published_task(task, seen, settings, divisors) if paper else score_task(task, seen, settings)
            if task not in RETRIEVALS and control != controls[0]:
                found.missed = []
            result.add(found)
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


def notes(samples: Sequence[Sample], tasks: Sequence[str], settings: Settings, data: str) -> list[str]:
    """Lines about what the tasks make of the data: captions that several clips share, and the protocol."""
    found = []
    counts = Counter(sample.caption for sample in samples)
    shared = sum(count for count in counts.values() if count > 1)
    if shared and {"text_to_video", "video_to_text"} & set(tasks):
        captions = sum(count > 1 for count in counts.values())
        found.append(
            f"{data}: {shared} of {len(samples)} clips share their caption with another one ({captions} captions); all "
            "clips of a caption are right for it"
        )
    if settings.method.kind == "two-step":
        templates = settings.labels or {sample.template for sample in samples if sample.template}
        held = {"questions": max((len(s.choices or ()) for s in samples), default=0), "video_to_action": len(templates)}
        found += [
            f"{data}: {task} has {held[task]} candidates, no more than the {settings.method.top} that two-step orders "
            "again: it is the same as plain"
            for task in tasks
            if 0 < held.get(task, 0) <= settings.method.top
        ]
    if settings.protocol == "paper":
        found.append(
            f"{data}: scored as the published code does, by probabilities: ties of antonym and object count as right, "
            "those of reversal are a coin drawn from sample and seed, equal candidates are ordered by their place"
        )
    return found
