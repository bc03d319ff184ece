"""What probe, models, check, import and export do: call the library, show the result, write the files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from paxion.backbones.base import Backbone, BackboneEncoder, Encoder
from paxion.backbones.catalogue import CATALOGUE
from paxion.backbones.load import OPTIONS, SCHEMES, absolute, lasting, load_backbone
from paxion.commands import compute_features, device, page, say, show
from paxion.evaluation.evaluate import Evaluation, evaluate, mirror
from paxion.evaluation.separation import PAIRS
from paxion.features.store import spec_of
from paxion.files import make_folder
from paxion.manifest import manifest_hash, read_manifest
from paxion.patching.checkpoint import CARD, adapter_backbone, adapter_name, adapter_sampler, load_adapter
from paxion.patching.exchange import export_official, import_official
from paxion.records import SPLITS, TASKS, PaxionError, Sample, unknown_name
from paxion.results import Results, provenance, write_results
from paxion.testing import check_encoder
from paxion.video.controls import CONTROLS
from paxion.video.sample import SAMPLERS
from paxion.world.generate import WorldPlan, draw_split

DEFAULT = "world"
COMPARED = {
    "equal": "the one that you gave, number for number",
    "not in the file": "not in the file, so that nothing tells whether it is the one that you gave",
    "not compared": "of a kind that cannot be compared with the one that you gave",
}
"""What `import_official` found, in words."""


@dataclass(frozen=True)
class OnBackbone:
    """Models that share a backbone, and so its features."""

    backbone: Backbone
    encoders: list[Encoder]


def load_models(names: Sequence[str], backbone: str | None = None) -> list[OnBackbone]:
    """Models by name, grouped by their backbone, which is loaded once.

    names: `backbone`, names that `load_backbone` knows, adapter folders.
    backbone: what `backbone` stands for and what adapters are put on; by default what the adapters were trained on.

    Raises PaxionError for an unknown name, and when `backbone` could be one of several.
    """
    if not names:
        raise PaxionError("got no models, expected `backbone`, names of backbones, or folders of adapters")
    adapters = [name for name in names if _is_adapter(name)]
    sources = {name: absolute(backbone or adapter_backbone(Path(name)) or DEFAULT) for name in adapters}
    titles = [adapter_name(Path(name)) for name in adapters]
    groups: dict[str, OnBackbone] = {}
    for name in names:
        if name == "backbone" and backbone is None and len(set(sources.values())) > 1:
            several = " and ".join(sorted(set(sources.values())))
            raise PaxionError(f"got `backbone` beside adapters of {several}; name the backbone that you mean instead")
        if name == "backbone":
            source = absolute(backbone or next(iter(sources.values()), DEFAULT))
        else:
            source = sources[name] if name in sources else absolute(name)
        if source not in groups:
            try:
                loaded = load_backbone(source, device())
            except PaxionError as error:
                if name in sources and backbone is None:
                    raise PaxionError(f"{name} needs its backbone: {error}; or name it with --backbone") from None
                raise
            # Two spellings of one backbone are one: the hub's newest, say, and that commit.
            same = (on for on in groups.values() if spec_of(on.backbone) == spec_of(loaded))
            groups[source] = next(same, OnBackbone(loaded, []))
        on = groups[source]
        if name in sources:
            encoder = load_adapter(Path(name), on.backbone, device())
            # Two adapters of one recipe are two models: both are called by their folders.
            on.encoders.append(replace(encoder, name=name) if titles.count(encoder.name) > 1 else encoder)
        elif not any(isinstance(encoder, BackboneEncoder) for encoder in on.encoders):
            on.encoders.append(BackboneEncoder("backbone" if name == "backbone" else name, on.backbone))
    distinct = list({id(on): on for on in groups.values()}.values())
    if len(distinct) > 1:
        # A backbone's own name is shorter than what was typed, and does unless two share it.
        taken = [on.backbone.name for on in distinct]
        return [
            OnBackbone(on.backbone, [_plain(encoder, on.backbone.name) for encoder in on.encoders])
            if taken.count(on.backbone.name) == 1
            else on
            for on in distinct
        ]
    # With one backbone in the run its row is `backbone`, of which the page has most to say.
    (on,) = distinct
    return [OnBackbone(on.backbone, [_plain(encoder, "backbone") for encoder in on.encoders])]


def trained_sampler(names: Sequence[str]) -> str:
    """Which frames the adapters among these models were trained on; the usual ones where nothing says.

    Raises PaxionError when they were trained on different ones.
    """
    told = {sampler for name in names if _is_adapter(name) and (sampler := adapter_sampler(Path(name)))}
    if len(told) > 1:
        several = " and ".join(sorted(told))
        raise PaxionError(f"got adapters trained on frames by the samplers {several}; choose one with --sampler")
    return told.pop() if told else "midpoint"


def _plain(encoder: Encoder, name: str) -> Encoder:
    return replace(encoder, name=name) if isinstance(encoder, BackboneEncoder) else encoder


def _is_adapter(name: str) -> bool:
    """Whether a model's name is an adapter folder; raises PaxionError when it is nothing that is known."""
    is_backbone = name == "backbone" or name.partition(":")[0].partition(",")[0] in SCHEMES
    # A folder may bear the name of a scheme, as `paxion world` makes one.
    if Path(name).is_dir() and (not is_backbone or (Path(name) / CARD).exists()):
        if not (Path(name) / CARD).exists() and (Path(name) / "config.json").exists():
            raise PaxionError(f"{name} is no adapter but looks like a Hugging Face model; did you mean hf:{name}?")
        return True
    if is_backbone:
        return False
    if re.fullmatch(r"[\w.-]+/[\w.-]+(@\w+)?", name) and not Path(name).parent.is_dir():
        raise PaxionError(f"unknown model {name!r} (did you mean 'hf:{name}'?); paxion models lists what there is")
    beside = [str(path.parent) for path in sorted(Path(name).parent.glob(f"*/{CARD}"))]
    near = get_close_matches(name, beside, n=1)
    raise unknown_name("model", name, ["backbone", *SCHEMES, *near])


def probe(
    console: Console,
    manifest: Path,
    models: tuple[str, ...],
    out: Path,
    split: str,
    tasks: tuple[str, ...],
    controls: tuple[str, ...],
    sampler: str | None,
    backbone: str | None,
    store: Path,
    seed: int,
) -> int:
    """Probe models on one split of a manifest and write results, rows and the page."""
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    offered = [control for control in CONTROLS if control != "reversed"]
    controls = tuple(offered) if "all" in controls else tuple(dict.fromkeys(controls))
    tasks, models = tuple(dict.fromkeys(tasks)), tuple(dict.fromkeys(models))
    for kind, names, known in (("task", tasks, TASKS), ("control", controls, offered)):
        if not names:
            raise PaxionError(f"got no {kind}, expected some of {', '.join(known)}")
        for name in names:
            if name not in known:
                raise unknown_name(kind, name, known)
    make_folder(out)
    samples = [sample for sample in read_manifest(manifest) if sample.split == split]
    if not samples:
        raise PaxionError(f"{manifest} has no {split} rows; give another --split or manifest")
    groups, sampler = load_models(models, backbone), sampler or trained_sampler(models)
    if sampler not in SAMPLERS:
        raise unknown_name("sampler", sampler, SAMPLERS)
    by_data: dict[str, list[Sample]] = {}
    for sample in samples:
        by_data.setdefault(sample.source or manifest.stem, []).append(sample)
    evaluation = Evaluation()
    for on in groups:
        mirrored = [other for control in controls if (other := mirror(control, on.backbone.frames))]
        wanted = ("reversed", *controls, *mirrored)
        extracted = compute_features(console, on.backbone, manifest, samples, store, controls=wanted, sampler=sampler)
        for data, rows in by_data.items():
            for encoder in on.encoders:
                evaluation.add(
                    evaluate(
                        encoder, extracted.store, extracted.keys, rows,
                        data=data, tasks=tasks, controls=controls, seed=seed, reasons=extracted.missed, device=device(),
                    )
                )  # fmt: skip
    backbones = [{"name": on.backbone.name, "revision": on.backbone.revision} for on in groups]
    described = {
        "seed": seed,
        "manifest": {"path": str(manifest), "hash": manifest_hash(manifest), "split": split},
        "sampler": extracted.store.spec.sampler,
        "backbone": backbones[0],
        **({"backbones": backbones} if len(backbones) > 1 else {}),
        "models": list(models),
        "models_on": {
            encoder.name: {
                "backbone": f"{on.backbone.name} {on.backbone.revision}",
                "adapter": not isinstance(encoder, BackboneEncoder),
            }
            for on in groups
            for encoder in on.encoders
        },
        "missed": evaluation.missed,
    }
    results = Results(provenance(**described), evaluation.scores)
    write_results(out, results, evaluation.rows)
    show(console, results)
    page(out, results, evaluation, by_data, manifest, seed)
    say(console, f"the page: {out / 'report.html'}")
    return 0


def list_models(console: Console) -> int:
    """Print the kinds of backbone, their options and known models with their sizes."""
    kinds = Table(title="Kinds of backbone")
    kinds.add_column("backbone", overflow="fold", min_width=26)
    kinds.add_column("what it is")
    kinds.add_column("options")
    for name, scheme in SCHEMES.items():
        path = scheme.path.replace("[PATH]", "[:PATH]") if scheme.path.startswith("[") else f":{scheme.path}"
        kinds.add_row(escape(name + path), scheme.about, ", ".join(scheme.options))
    console.print(kinds)
    for name, about in OPTIONS.items():
        say(console, f"  ,{name}=...  {about}")
    sizes = Table(title="Known models")
    sizes.add_column("backbone", overflow="fold")
    for column in ("D", "C", "P", "T", "pixels", "MB a clip"):
        sizes.add_column(column, justify="right")
    sizes.add_column("per_frame")
    for known in CATALOGUE:
        numbers = known.dim, known.token_width, known.tokens_per_frame, known.frames, known.size
        stored = f"{known.bytes_per_clip / 1e6:.2f}"
        sizes.add_row(known.name, *map(str, numbers), stored, "yes" if known.per_frame else "no")
    console.print(sizes)
    say(console, "D joint width, C token width, P tokens a frame, T frames, MB a clip: its tokens in a feature store.")
    return 0


def check(console: Console, model: str, manifest: Path | None, backbone: str | None, seed: int) -> int:
    """Check a model against the contract of a backbone, and measure its antonym cosine."""
    pairs: Sequence[tuple[str, str]] = PAIRS
    if manifest is not None:
        samples = read_manifest(manifest)
        pairs = list(dict.fromkeys((sample.caption, sample.antonym) for sample in samples if sample.antonym))
        if not pairs:
            raise PaxionError(
                f"{manifest} has no antonyms to measure on; make some with: paxion build, or leave it out"
            )
    (on,) = load_models([model], backbone)
    if manifest is None and on.backbone.name == DEFAULT:
        # The small backbone knows the words of its world only.
        drawn = [clip.sample for clip in draw_split(WorldPlan(val=210), "A", "val")]
        pairs = list(dict.fromkeys((sample.caption, sample.antonym) for sample in drawn if sample.antonym))
    encoder = on.encoders[0]
    report = check_encoder(on.backbone if isinstance(encoder, BackboneEncoder) else encoder, pairs, seed=seed)
    for line in report.checks:
        say(console, f"{'ok  ' if line.passed else 'FAIL'}  {line.name:<23} {line.detail}".rstrip())
    if report.separation is not None:
        say(console, f"The text tower {report.verdict()}.")
    failed = report.failures()
    if failed:
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        raise PaxionError(f"{model} breaks the contract: {failed[0]}{more}; see docs/backbones.md")
    return 0


def import_checkpoint(
    console: Console, checkpoint: Path, backbone: str, out: Path, heads: int | None, pooled: bool
) -> int:
    """Turn a published checkpoint into an adapter."""
    model = load_backbone(backbone)
    source = lasting(backbone, model)
    origin = import_official(checkpoint, model, out, heads=heads, pooled=pooled, source=source)
    say(console, f"the backbone of the checkpoint: {COMPARED[origin['backbone']]}")
    say(console, f"the adapter: {out}")
    return 0


def export_checkpoint(console: Console, adapter: Path, out: Path) -> int:
    """Write an adapter in the published layout."""
    export_official(adapter, out)
    say(console, f"the checkpoint: {out}")
    return 0
