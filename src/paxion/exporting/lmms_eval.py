"""A folder of tasks for lmms-eval's `--include_path`: a yaml and a jsonl a task, the functions, the clips."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

from paxion.data.publishing.videos import Shot
from paxion.exporting.choices import QUESTION, YES_NO, both_orders, drawn, has_foil, known_tasks
from paxion.exporting.clips import place, write_part, write_twins
from paxion.exporting.folder import Clips, Exported, json_lines, new_folder, readable_clips, write_note
from paxion.files import write_text
from paxion.records import PROBES, PaxionError, Sample

YAML = """\
task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
test_split: test
output_type: generate_until
doc_to_visual: !function utils.doc_to_visual
doc_to_text: !function utils.doc_to_text
doc_to_target: !function utils.doc_to_target
process_results: !function utils.process_results
generation_kwargs:
  max_new_tokens: 16
  temperature: 0
  do_sample: false
cluster_key: group
score_key: score
metric_list:
{metrics}
metadata:
  - version: 1.0
    manifest: {manifest}
"""
METRICS = {
    "accuracy": ("mean_score", True),
    "both_right": ("both_right", True),
    "consistent": ("agreement", True),
    "same_answer": ("agreement", False),
    "answered_first": ("answered_first", True),
    "unparsed": ("mean_score", False),
}
"""The function behind each metric, and whether more is better."""


def export_lmms_eval(
    manifest: Path,
    out: Path,
    *,
    split: str = "test",
    tasks: Sequence[str] = PROBES,
    seed: int = 0,
    link: bool = False,
    command: str = "",
    tick: Callable[[int], object] = lambda done: None,
) -> Exported:
    """Write the tasks. link: link to video files instead of copying them. tick: called with 1 for each clip.

    Raises PaxionError when `out` is not empty, no clip can be read, or a task has no samples.
    """
    tasks = known_tasks(tasks, PROBES)
    with new_folder(out) as folder:
        clips = readable_clips(manifest, [split], tick)
        exported = Exported({}, dict(clips.missed))
        for task in tasks:
            docs = _reversals(clips, folder, seed, exported) if task == "reversal" else []
            if task != "reversal":
                docs = _choices(clips, folder, task, seed, link, exported)
            if not docs:
                raise PaxionError(f"no clip of {manifest} ({split}) takes part in {task}: leave it out of --tasks")
            name = f"paxion_{task}"
            exported.rows[name] = len(docs)
            write_text(folder / f"{name}.jsonl", json_lines(docs))
            text = _yaml(name, task, out.absolute() / f"{name}.jsonl", manifest)
            write_text(folder / f"{name}.yaml", text)
        functions = files("paxion.exporting").joinpath("lmms_functions.py").read_text(encoding="utf-8")
        write_text(folder / "utils.py", functions)
        write_note(folder, manifest, command, exported)
    return exported


def _choices(
    clips: Clips, folder: Path, task: str, seed: int, link: bool, exported: Exported
) -> list[dict[str, object]]:
    """A caption and its foil as A and B, and the other way round."""
    usable = {}
    for number, sample, shot in clips.samples:
        if not has_foil(task, sample):
            exported.left_out[f"{task}: no foil"] += 1
            continue
        try:
            usable[number] = _video(folder, number, shot, link)
        except PaxionError as error:
            exported.missed[sample.id] = str(error)
    asked = both_orders(((n, sample) for n, sample, _ in clips.samples if n in usable), task, seed)
    return [
        {
            **_common(choice.sample, task, choice.order, usable[choice.number]),
            "prompt": f"{QUESTION}\nA. {choice.a}\nB. {choice.b}\nAnswer with the letter A or B alone.",
            "A": choice.a,
            "B": choice.b,
            "answer": choice.answer,
        }
        for choice in asked
    ]


def _reversals(clips: Clips, folder: Path, seed: int, exported: Exported) -> list[dict[str, object]]:
    """The caption asked of a clip (yes) and of its reversal (no)."""
    pairs = []
    for number, sample, shot in clips.samples:
        if not has_foil("reversal", sample):
            exported.left_out["reversal: not reversible"] += 1
            continue
        videos = f"videos/{number}-forward.mp4", f"videos/{number}-reversed.mp4"
        try:
            write_twins(shot, folder / videos[0], folder / videos[1])
        except PaxionError as error:
            exported.missed[sample.id] = str(error)
            continue
        prompt = f"{YES_NO}\n{sample.caption}\nAnswer with yes or no alone."
        pairs.append(
            [
                {**_common(sample, "reversal", half, videos[half]), "prompt": prompt, "answer": ("yes", "no")[half]}
                for half in (0, 1)
            ]
        )
    return [doc for pair in drawn(pairs, "reversal", seed) for doc in pair]


def _video(folder: Path, number: int, shot: Shot, link: bool) -> str:
    """The clip's file in the folder, made where it is not there yet."""
    name = f"videos/{number}{shot.path.suffix if shot.whole else '.mp4'}"
    target = folder / name
    if not target.exists():
        if shot.whole:
            place(shot.path, target, link)
        else:
            write_part(shot, target)
    return name


def _common(sample: Sample, task: str, half: int, video: str) -> dict[str, object]:
    return {
        "id": f"{sample.id}/{task}/{half}",
        "pair": sample.id,
        "half": half,
        "group": sample.group,
        "task": task,
        "video": video,
        "caption": sample.caption,
        "verb": sample.verb or "",
    }


def _yaml(name: str, task: str, data: Path, manifest: Path) -> str:
    wanted = [metric for metric in METRICS if metric != ("consistent" if task == "reversal" else "same_answer")]
    lines = [
        f"  - metric: {metric}\n    aggregation: !function utils.{METRICS[metric][0]}\n"
        f"    higher_is_better: {str(METRICS[metric][1]).lower()}"
        for metric in wanted
    ]
    # A JSON string is a YAML string.
    return YAML.format(
        name=name, data=json.dumps(str(data)), metrics="\n".join(lines), manifest=json.dumps(str(manifest.absolute()))
    )
