import resource
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from paxion.backbones.world import save_world
from paxion.files import make_folder, replacing, write_text
from paxion.patching.checkpoint import save_adapter
from paxion.patching.model import PatchedModel
from paxion.patching.recipes import RECIPES
from paxion.records import PaxionError
from paxion.video.encode import write_clip


def test_the_file_appears_whole_and_under_its_own_suffix(tmp_path: Path):
    path = tmp_path / "new" / "deep" / "clip.mp4"
    with replacing(path) as temporary:
        assert (temporary.parent, temporary.suffix) == (path.parent, ".mp4")
        temporary.write_text("half")
        assert not path.exists()
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path):
    path = tmp_path / "results.json"
    write_text(path, "old")
    with pytest.raises(RuntimeError, match="killed"), replacing(path) as temporary:
        temporary.write_text("new")
        raise RuntimeError("killed")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_is_replaced_not_written_into(tmp_path: Path):
    path, link = tmp_path / "a.txt", tmp_path / "link.txt"
    write_text(path, "old")
    link.hardlink_to(path)
    write_text(path, "größer\n")
    assert (path.read_bytes(), link.read_text()) == ("größer\n".encode(), "old")


def test_others_may_read_the_file(tmp_path: Path):
    write_text(tmp_path / "a.txt", "x")
    assert (tmp_path / "a.txt").stat().st_mode & 0o044 == 0o044


def test_two_writers_of_one_file_do_not_share_a_temporary(tmp_path: Path):
    path = tmp_path / "a.txt"
    with replacing(path) as one, replacing(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert one != other
    assert path.read_text() == "one"


def test_a_file_where_a_folder_is_needed_is_said_in_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    for attempt in (lambda: write_text(tmp_path / "file" / "a.txt", "x"), lambda: make_folder(tmp_path / "file" / "a")):
        with pytest.raises(PaxionError, match="give a") as caught:
            attempt()
        assert str(tmp_path / "file" / "a") in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_folder_in_the_place_of_the_file_is_said_and_kept(tmp_path: Path):
    (tmp_path / "a" / "inside").mkdir(parents=True)
    with pytest.raises(PaxionError, match="cannot write"):
        write_text(tmp_path / "a", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_make_folder_makes_parents_and_minds_no_folder_that_exists(tmp_path: Path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


@contextmanager
def files_no_larger_than(size: int):
    """A disk that is full after `size` bytes, as far as one file can tell."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, tiny_backbone):
    sizes = tiny_backbone.dim, tiny_backbone.token_width, tiny_backbone.frames, tiny_backbone.tokens_per_frame
    recipe = RECIPES["patcher"]
    model = PatchedModel(recipe.patcher_config(*sizes))
    writers = (
        lambda: write_text(tmp_path / "a.txt", "x" * 100_000),
        lambda: save_world(tiny_backbone, tmp_path / "w.safetensors", {}),
        lambda: save_adapter(tmp_path / "adapter", "patcher", model, tiny_backbone, recipe, {}),
        lambda: write_clip(tmp_path / "v.mp4", torch.randint(0, 255, (9, 128, 128, 3), dtype=torch.uint8)),
    )
    for write in writers:
        with files_no_larger_than(4096), pytest.raises(PaxionError, match="cannot write") as caught:
            write()
        assert "\n" not in str(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
