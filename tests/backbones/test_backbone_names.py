"""Names of backbones: schemes, options, files of one's own, and what is only imported when it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from paxion.backbones.catalogue import CATALOGUE
from paxion.backbones.load import OPTIONS, SCHEMES, absolute, lasting, load_backbone, parse
from paxion.backbones.world import SHIPPED
from paxion.records import PaxionError


def test_a_name_is_a_scheme_a_path_and_options():
    assert parse("world") == ("world", "", {})
    assert parse("hf:a/b@v1,frames=4,layer=-2") == ("hf", "a/b@v1", {"frames": "4", "layer": "-2"})
    assert parse("clip-vip:/w,1/a: b.pt,dtype=bf16") == ("clip-vip", "/w,1/a: b.pt", {"dtype": "bf16"})
    assert parse("world,dtype=bf16") == parse("world,dtype=bfloat16") == ("world", "", {"dtype": "bf16"})


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("clipvip:/w.pt", "unknown backbone 'clipvip' (did you mean 'clip-vip'?)"),
        ("clip-vip", "got backbone 'clip-vip', expected clip-vip:PATH"),
        ("hf:", "expected hf:ID[@REVISION] or FOLDER"),
        ("hf:a,frame=4", "unknown option of hf 'frame' (did you mean 'frames'?)"),
        ("world,frames=4", "unknown option of world 'frames'"),
        ("hf:a,frames=many", "got frames=many, expected a whole number"),
        ("hf:a,frames=0", "got frames=0, expected at least 1"),
        ("hf:a,dtype=float8", "unknown dtype 'float8' (did you mean 'float32'?)"),
        ("hf:a,dtype=bf16,dtype=fp16", "got dtype twice"),
        ("singularity:a,preprocessing=papers", "did you mean 'paper'?"),
        ("hf:a,compile=1", "unknown compile '1': give one of yes, no"),
    ],
)
def test_what_is_wrong_in_a_name_is_said(name, says):
    with pytest.raises(PaxionError) as caught:
        load_backbone(name)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_every_option_is_explained_and_every_known_model_can_be_named():
    assert {option for scheme in SCHEMES.values() for option in scheme.options} == set(OPTIONS)
    for known in CATALOGUE:
        assert parse(known.name)


def test_a_path_may_look_like_an_option(tmp_path):
    (tmp_path / "a,frames=b").mkdir()
    assert parse(f"hf:{tmp_path / 'a,frames=b'},frames=4") == ("hf", str(tmp_path / "a,frames=b"), {"frames": "4"})


def test_a_relative_path_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("f.py").touch()
    assert absolute("python:f.py") == f"python:{tmp_path / 'f.py'}"
    assert absolute("python:f.py:make") == f"python:{tmp_path / 'f.py'}:make"
    assert absolute("open-clip:ViT-B-32/f.py") == f"open-clip:ViT-B-32/{tmp_path / 'f.py'}"
    assert absolute("clip-vip:x.pt,vocabulary=f.py") == f"clip-vip:x.pt,vocabulary={tmp_path / 'f.py'}"
    Path("w.pt").touch()
    assert absolute("clip-vip:w.pt,frames=4,dtype=bf16") == f"clip-vip:{tmp_path / 'w.pt'},frames=4,dtype=bf16"
    assert absolute("hf:openai/clip") == "hf:openai/clip"
    assert absolute("world") == "world"


def test_precision_is_part_of_the_revision_and_of_the_answers():
    plain, half = load_backbone("world"), load_backbone("world,dtype=bf16")
    assert half.revision == f"{plain.revision}-bf16"
    video = torch.randn(1, plain.frames, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = half.encode_video(video)
    assert found.tokens is not None and found.tokens.dtype == torch.bfloat16
    assert torch.nn.functional.cosine_similarity(found.pooled.float(), plain.encode_video(video).pooled) > 0.99


GOOD = """
import torch
from paxion.backbones.world import load_world
def backbone():
    return load_world()
def other():
    model = load_world()
    model.name = "other"
    return model
def nothing():
    return None
def broken():
    raise RuntimeError("no\\nweights")
def half():
    return torch.nn.Linear(2, 2)
def careless():
    return load_world().train().requires_grad_(True)
"""


def test_a_file_of_ones_own(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(GOOD)
    mine = load_backbone(f"python:{file}")
    shipped = load_backbone(f"world:{SHIPPED}")
    assert mine.name == "world" and mine.revision.startswith(shipped.revision) and mine.revision != shipped.revision
    assert load_backbone(f"python:{file}:other").name == "other"
    careless = load_backbone(f"python:{file}:careless")
    assert not careless.training and not any(value.requires_grad for value in careless.parameters())


def test_a_file_of_ones_own_may_use_dataclasses_and_its_neighbours(tmp_path):
    (tmp_path / "beside_it.py").write_text("NAME = 'neighbour'")
    (tmp_path / "own.py").write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom beside_it import NAME\n"
        "from paxion.backbones.world import load_world\n"
        "@dataclass\nclass Config:\n    size: int = 64\n"
        "def backbone():\n    model = load_world()\n    model.name = NAME\n    return model\n"
    )
    assert load_backbone(f"python:{tmp_path / 'own.py'}").name == "neighbour"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none.py", "no Python file at"),
        ("mine.py:missing", "has no function missing()"),
        ("mine.py:nothing", "has no function nothing() that returns a backbone"),
        ("mine.py:broken", "failed with RuntimeError: no; mend it"),
        ("mine.py:half", "lacks name, revision, dim"),
        ("wrong.py", "failed with SyntaxError"),
    ],
)
def test_what_is_wrong_in_a_file_of_ones_own_is_said(tmp_path, name, says):
    (tmp_path / "mine.py").write_text(GOOD)
    (tmp_path / "wrong.py").write_text("def backbone(:")
    with pytest.raises(PaxionError) as caught:
        load_backbone(f"python:{tmp_path / name}")
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "module", ["paxion", "paxion.cli", "paxion.backbones.load", "paxion.model_commands", "paxion.testing"]
)
def test_transformers_is_not_imported_before_it_is_needed(module):
    heavy = {"transformers", "tokenizers", "open_clip", "huggingface_hub"}
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_lasting_name_is_pinned(tmp_path, monkeypatch):
    model = load_backbone("world")
    monkeypatch.setattr(type(model), "pinned", "openai/clip@3d74acf", raising=False)
    assert lasting("hf:openai/clip,frames=4", model) == "hf:openai/clip@3d74acf,frames=4"
    monkeypatch.undo()
    assert lasting("world", model) == "world"
