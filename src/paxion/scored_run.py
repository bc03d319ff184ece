"""A run of probe or evaluate: its features, every model's scores, what guessing gives, and the files it writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from paxion.backbones.base import Backbone, BackboneEncoder, Encoder
from paxion.backbones.low_rank import LowRankEncoder
from paxion.commands import compute_features, device, page_of, say, show
from paxion.evaluation.chance import chance_scores, clip_chance
from paxion.evaluation.dummies import dummy_evaluation
from paxion.evaluation.evaluate import Evaluation, evaluate, mirror
from paxion.evaluation.gains import gains_of
from paxion.evaluation.settings import Kind, Method, Settings
from paxion.evaluation.strata import strata_by_id
from paxion.features.extract import Extracted
from paxion.manifest import manifest_hash
from paxion.model_commands import OnBackbone
from paxion.records import TWINS, Sample
from paxion.report.actions import print_actions
from paxion.report.gains import print_gains
from paxion.results import Results, provenance, write_results, write_strata
from paxion.video.controls import CONTROLS


@dataclass(frozen=True)
class Run:
    """What a run of probe or evaluate scores, and how."""

    console: Console
    groups: list[OnBackbone]
    manifest: Path
    samples: list[Sample]
    store: Path
    tasks: tuple[str, ...]
    sampler: str
    seed: int
    controls: tuple[str, ...] = ("none",)
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of feature extraction."""

    @property
    def by_data(self) -> dict[str, list[Sample]]:
        """The samples by the name of their data set."""
        found: dict[str, list[Sample]] = {}
        for sample in self.samples:
            found.setdefault(sample.source or self.manifest.stem, []).append(sample)
        return found

    def extract(self, backbone: Backbone, samples: Sequence[Sample]) -> Extracted:
        """The features of samples, with all that the controls need."""
        shown = [control for control in self.controls if control in CONTROLS]
        mirrored = [other for control in shown if (other := mirror(control, backbone.frames))]
        turned = ("reversed",) if {"reversal", *TWINS} & set(self.tasks) else ()
        return compute_features(
            self.console, backbone, self.manifest, samples, self.store,
            controls=(*turned, *shown, *(mirrored if turned else ())), sampler=self.sampler, **self.options,
        )  # fmt: skip


def scored(
    run: Run,
    encoder: Encoder,
    extracted: Extracted,
    data: str,
    rows: Sequence[Sample],
    settings: Settings,
    beside: Encoder | None = None,
) -> Evaluation:
    """What one model scores on the samples of one data set, over all tasks and controls of the run."""
    return evaluate(
        encoder, extracted.store, extracted.keys, rows,
        data=data, tasks=run.tasks, controls=run.controls, seed=run.seed, reasons=extracted.missed, device=device(),
        settings=settings, beside=beside,
    )  # fmt: skip


def add_dummies(
    evaluation: Evaluation, run: Run, names: Sequence[str], data: str, rows: Sequence[Sample], settings: Settings
) -> None:
    """Add what dummies score on the samples of one data set that can be read."""
    for name in names:
        evaluation.add(
            dummy_evaluation(
                name, rows, data=data, tasks=run.tasks, controls=run.controls, seed=run.seed, settings=settings
            )
        )


def add_chance(evaluation: Evaluation, run: Run, data: str, present: Sequence[Sample], settings: Settings) -> None:
    """Add what guessing gives on the clips that can be read, unless another backbone's store has given it."""
    known = {(score.model, score.data) for score in evaluation.scores}
    if "none" in run.controls and ("chance", data) not in known:
        evaluation.scores += chance_scores(data, present, run.tasks, settings, run.seed)
        if "text_to_video" in run.tasks:
            evaluation.scores += clip_chance(data, present, run.seed)


def finish(
    run: Run,
    out: Path,
    evaluation: Evaluation,
    models: Sequence[str],
    split: str,
    described: Mapping[str, Any],
    methods: Sequence[str] = ("plain",),
) -> int:
    """Write the run, print its tables, and say where the page is."""
    backbones = [{"name": on.backbone.name, "revision": on.backbone.revision} for on in run.groups]
    known = {
        "seed": run.seed,
        "manifest": {"path": str(run.manifest), "hash": manifest_hash(run.manifest), "split": split},
        "sampler": run.sampler,
        "engine": f"PyAV {metadata.version('av')}",
        **({"backbone": backbones[0]} if backbones else {}),
        **({"backbones": backbones} if len(backbones) > 1 else {}),
        "models": list(models),
        "models_on": {
            Method(cast(Kind, kind)).named(encoder.name): {
                "backbone": getattr(encoder, "on", f"{on.backbone.name} {on.backbone.revision}"),
                "adapter": not isinstance(encoder, BackboneEncoder),
            }
            for on in run.groups
            for encoder in on.encoders
            for kind in (methods if mixes(encoder) else ("plain",))
        },
        **described,
        "notes": evaluation.notes,
        "missed": evaluation.missed,
    }
    results = Results(provenance(**known), evaluation.scores)
    write_strata(out, strata_by_id(run.samples))
    write_results(out, results, evaluation.rows)
    show(run.console, results)
    print_actions(run.console, results.scores)
    print_gains(run.console, gains_of(evaluation.rows, results.scores))
    for note in evaluation.notes:
        say(run.console, note)
    # Dummies alone need no videos: none may be there to be shown.
    page_of(out, results, evaluation.rows, run.by_data if run.groups else {}, run.manifest, run.seed)
    say(run.console, f"the page: {out / 'report.html'}")
    return 0


def mixes(encoder: Encoder) -> bool:
    """Whether there is a backbone to put beside the model, on the same features."""
    return not isinstance(encoder, BackboneEncoder | LowRankEncoder)
