"""One encoder, one data set: every probe, control, retrieval and question asked for, from cached features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from paxion.backbones.base import Encoder, temperature_of
from paxion.evaluation.clips import clip_vectors
from paxion.evaluation.clips import mirror as mirror
from paxion.evaluation.exchange import contradicted, others
from paxion.evaluation.methods import Mix
from paxion.evaluation.published import published_task
from paxion.evaluation.questions import unknown_hard
from paxion.evaluation.scoring import Evaluation as Evaluation
from paxion.evaluation.scoring import Seen, score_task
from paxion.evaluation.settings import DEFAULT, Settings
from paxion.evaluation.texts import texts_of
from paxion.features.source import FeatureSource
from paxion.records import PROBES, RETRIEVALS, TASKS, TWINS, PaxionError, Sample, unknown_name
from paxion.results import Missed
from paxion.video.controls import ANTONYM_SAID, MEASURED, OTHER


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

    Every task is scored under every control, but for these: `antonym_said` says the antonym to be the caption, which
    asks something of the reversal probe alone, and two-step applies to no choice of two. The reversal probe and the
    twins compare the controlled clip with the controlled reversal: under `first`, the first frame with the last one;
    a frozen clip is its own reversal. Under `other`, each sample is shown the clip of another one (`exchange.others`).
    Frozen frames and shuffled orders are drawn from the sample id and the seed, by backbones whose features can be
    reordered; for others there is one frozen and one shuffled clip and no shuffled reversal: their reversal probe and
    twins are missed under that control.
    settings: candidates, prompts, protocol and method (see `Settings`). beside: the unpatched backbone on the same
    source, which every method but `plain` needs; the model's name in the results then says the method.
    Vectors of many clips lie in a temporary file (see `clips.clip_vectors`).
    Raises PaxionError for an unknown task or control, a control that applies to none of the tasks, and for a method
    without the backbone beside it.
    """
    for kind, names, known in (("task", tasks, TASKS), ("control", controls, MEASURED)):
        for name in names:
            if name not in known:
                raise unknown_name(kind, name, known)
    if ANTONYM_SAID in controls and "reversal" not in tasks:
        raise PaxionError(f"got the control {ANTONYM_SAID} without the task reversal, the one it is for; add the task")
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
    said = (*tasks, "antonym") if ANTONYM_SAID in controls else tasks
    texts = [texts_of(each, present, said, settings) for each in both]
    divisors = [temperature_of(each) for each in both] if paper or method.kind == "softmax-sum" else []
    applied = [task for task in tasks if not (task in PROBES + TWINS and method.kind == "two-step")]
    result.missed += [
        Missed(data, task, "two-step does not apply to a choice of two", len(present))
        for task in tasks
        if task not in applied
    ]
    if "questions" in applied:
        result.missed += unknown_hard(samples, settings.hard, data)
    for shown in dict.fromkeys("none" if control == ANTONYM_SAID else control for control in controls):
        asked = _asked(applied, shown, present, source, data, result) if shown in controls else []
        said_too = shown == "none" and ANTONYM_SAID in controls and "reversal" in applied
        if not asked and not said_too:
            continue
        whose = _exchanged(present, keys, seed, data, result) if shown == OTHER else keys
        vectors = clip_vectors(
            both, source, whose, present, control="none" if shown == OTHER else shown,
            backwards=said_too or bool({"reversal", *TWINS} & set(asked)), seed=seed, batch=batch, device=device,
        )  # fmt: skip
        mix = None
        if len(both) > 1:
            clips, backwards = vectors[1]
            mix = Mix(method, clips, texts[1].text, backwards, texts[1].actions, *divisors)
        clips, backwards = vectors[0]
        seen = Seen(method.named(encoder.name), data, present, shown, seed, clips, backwards, texts[0], mix)
        score = partial(published_task, temperatures=divisors) if paper else score_task
        for task in asked:
            result.add(score(task, seen, settings))
        if said_too:
            result.add(_contradicted(score("reversal", _contrary(seen), settings), present, data))
    return result


def _asked(
    tasks: Sequence[str], control: str, present: Sequence[Sample], source: FeatureSource, data: str, result: Evaluation
) -> list[str]:
    """The tasks that can be scored under a control of the clips; what cannot is a miss of the result."""
    if control == OTHER and len(present) < 2:
        result.missed += [Missed(data, task, "one clip alone: there is no other", len(present)) for task in tasks]
        return []
    if source.reorderable or control == OTHER or mirror(control, source.spec.frames) is not None:
        return list(tasks)
    turned = [task for task in tasks if task in ("reversal", *TWINS)]
    why, count = "under {} needs a per-frame backbone", sum(sample.reversible is not False for sample in present)
    result.missed += [Missed(data, task, f"{task} {why.format(control)}", count) for task in turned]
    return [task for task in tasks if task not in turned]


def _exchanged(
    present: Sequence[Sample], keys: Mapping[str, str], seed: int, data: str, result: Evaluation
) -> dict[str, str]:
    """The key of the clip that each sample is shown under `other`; a note says if some are of the same source."""
    whose = others(present, seed)
    assert whose is not None
    same = sum(sample.group == present[i].group for sample, i in zip(present, whose, strict=True))
    if same:
        result.notes.append(
            f"{data}: under the control {OTHER}, {same} of {len(present)} samples are shown another clip of their own "
            "source: one source has more than half of all clips"
        )
    return {sample.id: keys[present[i].id] for sample, i in zip(present, whose, strict=True)}


def _contrary(seen: Seen) -> Seen:
    return replace(seen, control=ANTONYM_SAID, samples=contradicted(seen.samples))


def _contradicted(found: Evaluation, present: Sequence[Sample], data: str) -> Evaluation:
    """What was scored with the antonym as caption, and how many have none to be said."""
    lost = [sample.id for sample in present if sample.antonym is None and sample.reversible is not False]
    found.missed = [Missed(data, f"reversal, {ANTONYM_SAID}", "no antonym", len(lost), tuple(lost[:5]))] if lost else []
    return found


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
