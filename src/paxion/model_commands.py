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
from paxion.backbones.low_rank import LowRankEncoder, is_low_rank, load_low_rank, read_low_rank
from paxion.commands import device, say
from paxion.cost_commands import print_costs
from paxion.evaluation.separation import PAIRS
from paxion.features.store import spec_of
from paxion.manifest import read_manifest
from paxion.patching.checkpoint import CARD, adapter_backbone, adapter_name, adapter_sampler, load_adapter
from paxion.patching.exchange import export_official, import_official
from paxion.records import PaxionError, unknown_name
from paxion.testing import check_encoder
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

    names: `backbone`, names that `load_backbone` knows, adapter folders. "mine=runs/patcher" is called "mine".
    backbone: what `backbone` stands for and what adapters are put on; by default what the adapters were trained on.

    Raises PaxionError for an unknown name, when `backbone` could be one of several, and when two would be called alike.
    """
    if not names:
        raise PaxionError("got no models, expected `backbone`, names of backbones, or folders of adapters")
    called = [titled(name) for name in names]
    groups = _loaded([name for _, name in called], [title for title, _ in called], backbone)
    own = [encoder.name for on in groups for encoder in on.encoders]
    if again := [name for name in own if own.count(name) > 1]:
        raise PaxionError(
            f"got two models called {again[0]!r}, expected names that differ; name them: mine={names[-1]}"
        )
    return groups


def titled(name: str) -> tuple[str | None, str]:
    """What a model is to be called (None: its own name) and where it is: "mine=runs/kp" is ("mine", "runs/kp")."""
    title, sign, rest = name.partition("=")
    # Names of backbones have options ("world,frames=5"), and a folder may have such a name itself.
    if not sign or not rest or re.search(r"[:,/]", title) or Path(name).exists():
        return None, name
    if not title.strip():
        raise PaxionError(f"got the model {name!r}, expected a name before the =, as in mine={rest}")
    if title.strip() == "chance" or title.rstrip().endswith("]"):
        # Results call guessing so, and a model under a method.
        raise PaxionError(f"got the name {title.strip()!r} for {rest}, which results keep for themselves; give another")
    return title.strip(), rest


def _loaded(names: Sequence[str], called: Sequence[str | None], backbone: str | None) -> list[OnBackbone]:
    adapters = [name for name in names if _is_adapter(name)]
    sources = {name: absolute(backbone or _trained_on(Path(name)) or DEFAULT) for name in adapters}
    titles = [Path(name).name if is_low_rank(Path(name)) else adapter_name(Path(name)) for name in adapters]
    groups: dict[str, OnBackbone] = {}
    for name, own in zip(names, called, strict=True):
        if name == "backbone" and backbone is None and len(set(sources.values())) > 1:
            several = " and ".join(sorted(set(sources.values())))
            raise PaxionError(f"got `backbone` beside adapters of {several}; name the backbone that you mean instead")
        if name == "backbone":
            source = absolute(backbone or next(iter(sources.values()), DEFAULT))
        else:
            source = sources[name] if name in sources else absolute(name)
        if name in sources and is_low_rank(Path(name)):
            # Its weights are its own: a backbone beside the one that it was trained on.
            title = Path(name).name if titles.count(Path(name).name) == 1 else name
            updated, told = load_low_rank(name, base=backbone, device=device()), read_low_rank(Path(name))
            on = OnBackbone(updated, [LowRankEncoder(own or title, updated, f"{told.backbone} {told.revision}")])
            groups[f"lora:{own or name}"] = on
            continue
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
            title = own or (name if titles.count(encoder.name) > 1 else encoder.name)
            on.encoders.append(replace(encoder, name=title))
        elif own:
            on.encoders.append(BackboneEncoder(own, on.backbone))
        elif not any(isinstance(encoder, BackboneEncoder) for encoder in on.encoders):
            on.encoders.append(BackboneEncoder("backbone" if name == "backbone" else name, on.backbone))
    distinct = list({id(on): on for on in groups.values()}.values())
    taken = [on.backbone.name for on in distinct if not any(isinstance(each, LowRankEncoder) for each in on.encoders)]
    # A backbone's own name is shorter than what was typed, and does unless two share it. With one backbone in the run
    # its row is `backbone`, of which the page has most to say.
    return [
        OnBackbone(
            on.backbone,
            [_plain(encoder, on.backbone.name if len(taken) > 1 else "backbone", called) for encoder in on.encoders],
        )
        if taken.count(on.backbone.name) == 1
        else on
        for on in distinct
    ]


def trained_sampler(names: Sequence[str]) -> str:
    """Which frames the adapters among these models were trained on; the usual ones where nothing says.

    Raises PaxionError when they were trained on different ones.
    """
    names = [titled(name)[1] for name in names]
    told = {sampler for name in names if _is_adapter(name) and (sampler := _sampler(Path(name)))}
    if len(told) > 1:
        several = " and ".join(sorted(told))
        raise PaxionError(f"got adapters trained on frames by the samplers {several}; choose one with --sampler")
    return told.pop() if told else "midpoint"


def _trained_on(folder: Path) -> str | None:
    return read_low_rank(folder).source if is_low_rank(folder) else adapter_backbone(folder)


def _sampler(folder: Path) -> str | None:
    return read_low_rank(folder).sampler if is_low_rank(folder) else adapter_sampler(folder)


def _plain(encoder: Encoder, name: str, called: Sequence[str | None]) -> Encoder:
    """A backbone's encoder under a name of the house, unless the user has named it."""
    return (
        replace(encoder, name=name) if isinstance(encoder, BackboneEncoder) and encoder.name not in called else encoder
    )


def _is_adapter(name: str) -> bool:
    """Whether a model's name is an adapter folder; raises PaxionError when it is nothing that is known."""
    is_backbone = name == "backbone" or name.partition(":")[0].partition(",")[0] in SCHEMES
    # A folder may bear the name of a scheme, as `paxion world` makes one.
    made = (Path(name) / CARD).exists() or is_low_rank(Path(name))
    if Path(name).is_dir() and (not is_backbone or made):
        if not made and (Path(name) / "config.json").exists():
            raise PaxionError(f"{name} is no adapter but looks like a Hugging Face model; did you mean hf:{name}?")
        return True
    if is_backbone:
        return False
    if re.fullmatch(r"[\w.-]+/[\w.-]+(@\w+)?", name) and not Path(name).parent.is_dir():
        raise PaxionError(f"unknown model {name!r} (did you mean 'hf:{name}'?); paxion models lists what there is")
    beside = [str(path.parent) for path in sorted(Path(name).parent.glob(f"*/{CARD}"))]
    near = get_close_matches(name, beside, n=1)
    raise unknown_name("model", name, ["backbone", *SCHEMES, *near])


def list_models(
    console: Console, cost: tuple[str, ...] | None = None, recipe: str = "paper-dvdm", rank: int = 8, json: bool = False
) -> int:
    """Print the kinds of backbone, their options and known models with their sizes; or what models cost."""
    if cost is not None:
        return print_costs(console, cost, recipe, rank, json)
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
