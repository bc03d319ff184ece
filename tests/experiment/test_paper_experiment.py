"""The published study from end to end, on files of the published formats that a tiny world has written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from paxion.backbones.world import save_world
from paxion.cli import main
from paxion.experiment.checking import find_problems
from paxion.experiment.parts import Experiment
from paxion.experiment.planning import plan
from paxion.experiment.reading import find_experiment, read_experiment
from paxion.experiment.scores import measured
from paxion.experiment.tables import make_tables
from paxion.experiment_commands import check_trainable


@pytest.fixture(scope="module")
def study(tiny_manifest, tiny_backbone, tmp_path_factory) -> Experiment:
    """paper.toml with every path filled in, and one backbone."""
    folder = tmp_path_factory.mktemp("published")
    save_world(tiny_backbone, folder / "tiny.safetensors", {})
    assert main(["world", "formats", str(tiny_manifest), "--source", "world-A", "--out", str(folder)]) == 0
    ssv2, ego4d = folder / "ssv2", folder / "ego4d"
    antonyms = ssv2 / "shuffled_object_and_action_antonyms"
    given = {
        "data.ssv2.annotations": [antonyms / "train.json", antonyms / "validation.json"],
        "data.ssv2.videos": ssv2 / "videos",
        "data.ego4d.annotations": [
            ego4d / "egoclip_subset_action_antonyms_train_val_test_split/train.jsonl",
            ego4d / "egoclip_subset_action_antonyms_object_shuffled_train_val_test_split/test.jsonl",
        ],
        "data.ego4d.videos": ego4d / "clips",
        "data.nextqa.annotations": [folder / "nextqa/train.csv", folder / "nextqa/val.csv"],
        "data.nextqa.ids": folder / "nextqa/map_vid_vidorID.json",
        "data.nextqa.videos": folder / "nextqa/videos",
        "data.ssv2-label.path": ssv2 / "ssv2_ret_label_val_small.json",
        "data.ssv2-label.videos": ssv2 / "videos",
        "data.ssv2-template.path": ssv2 / "ssv2_ret_template_val_small.json",
        "data.ssv2-template.videos": ssv2 / "videos",
        "data.temporal-ssv2.path": folder / "temporal/val-v1.0.csv",
        "data.temporal-ssv2.videos": folder / "temporal/videos",
        "data.temporal-kinetics.path": folder / "temporal/val-v1.0.csv",
        "data.temporal-kinetics.videos": folder / "temporal/videos",
        "data.moments.path": folder / "moments/validationSet.csv",
        "data.moments.videos": folder / "moments/videos",
        "tasks.moments.labels": folder / "moments/moments_categories.txt",
        "tasks.nextqa.hard": folder / "nextqa/hard.txt",
    }
    for name in ("internvideo", "clip-vip", "singularity"):
        given[f"backbones.{name}.load"] = f"world:{folder / 'tiny.safetensors'}"
    changes = [
        f"{key}={[str(one) for one in value] if isinstance(value, list) else value}" for key, value in given.items()
    ]
    read = read_experiment(find_experiment("paper"), changes)
    assert read.missing == () and find_problems(read) == []
    check_trainable(read, Path("paper.toml"))
    return read


def test_its_graph_has_all_that_was_published(study):
    stages = plan(study).stages
    assert len([name for name in stages if name.startswith("models/")]) == 3 * 21
    assert len([name for name in stages if name.startswith("tasks/")]) == 3 * (8 + 2)
    recipes = {word for stage in stages.values() for word in stage.command if str(word).startswith("paper-")}
    assert len(recipes) >= 16


def test_every_stage_runs_and_every_cell_is_filled(study, tmp_path, capsys):
    (name, backbone), *_ = study.backbones.items()
    models = {
        # One clip a step less than there are: of 21 clips none are lost. One epoch is enough to see it run.
        name: replace(model, options={**model.options, "change": {"epochs": 1, "batch": 8, "latents": 2, "heads": 2}})
        for name, model in study.models.items()
    }
    small = replace(study, backbones={name: backbone}, models=models)
    made = plan(small)
    for stage in made.stages.values():  # in this process: starting one costs more than all that it does here
        (tmp_path / stage.name).mkdir(parents=True, exist_ok=True)
        assert main(stage.line(tmp_path)) == 0, (stage.line(tmp_path), capsys.readouterr().err[-2000:])
    tables = make_tables(small, measured(made, tmp_path, made.stages))
    assert [table.title for table in tables] == [
        "ActionBench", "Retrieval and video to action", "NExT-QA", "Zero-shot transfer",
    ]  # fmt: skip
    for table in tables:
        for line in table.parts[0].lines:
            gaps = [
                column.label
                for column, cell, asked in zip(table.columns, line.cells, line.asked, strict=True)
                if asked and cell is None and column.score != "questions:causal"  # a world asks none
            ]
            assert gaps == [], (table.title, line.label)
        assert [n for n in table.notes if "no single" in n and "questions:causal" not in n] == [], table.title
