"""Finding out which clips can be read: by decoding them, once, whoever asks and whatever happens."""

from __future__ import annotations

import json
import shutil
from multiprocessing import get_context
from pathlib import Path

import pytest
from neighbour import NeighbourBackbone

from paxion.features import readable
from paxion.features.jobs import Job, job_of
from paxion.features.readable import unreadable
from paxion.features.spec import spec_of
from paxion.manifest import video_path
from paxion.records import PaxionError

SPEC = spec_of(NeighbourBackbone(), dtype="float32")


@pytest.fixture
def jobs(tiny_manifest, tiny_samples, tmp_path) -> list[Job]:
    """Twelve clips in files of their own: one is no video, one is missing, one holds packets of zeros."""
    for sample in tiny_samples[:12]:
        target = tmp_path / sample.video
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(video_path(tiny_manifest, sample), target)
    manifest = tmp_path / "manifest.jsonl"
    jobs = [job_of(manifest, sample) for sample in tiny_samples[:12]]
    jobs[2].video.write_bytes(b"this is not a video" * 100)
    jobs[5].video.unlink()
    content = jobs[7].video.read_bytes()  # its list of packets is whole: nothing but decoding tells
    begin, end = sorted((content.index(b"mdat") + 4, content.index(b"moov") - 4))
    assert end - begin > 500
    jobs[7].video.write_bytes(content[:begin] + bytes(end - begin) + content[end:])
    return [job_of(manifest, sample) for sample in tiny_samples[:12]]


@pytest.mark.parametrize("workers", [0, 2])
def test_what_cannot_be_read_is_told_with_the_reason(jobs, tmp_path, monkeypatch, workers):
    monkeypatch.setattr(readable, "GROUP", 4)
    ticks: list[int] = []
    missed = unreadable(jobs, SPEC, tmp_path / "notes.json", workers=workers, tick=ticks.append)
    assert list(missed) == [jobs[number].key for number in (2, 5, 7)]
    for number in (2, 5, 7):
        assert str(jobs[number].video) in missed[jobs[number].key]
    assert ticks == [0, 4, 4, 4]


def test_what_was_found_is_not_looked_for_again(jobs, tmp_path):
    notes = tmp_path / "notes.json"
    missed = unreadable(jobs[:9], SPEC, notes, workers=0)
    for job in jobs[:9]:
        job.video.unlink(missing_ok=True)
    ticks: list[int] = []
    assert unreadable([*jobs, jobs[0]], SPEC, notes, workers=0, tick=ticks.append) == missed
    assert ticks == [9, 3]


@pytest.mark.parametrize("damage", ["", "{", '{"decoded": 1}', '{"decoded": {}, "clips": {}}', "[]"])
def test_notes_that_say_nothing_or_of_other_frames_are_made_anew(jobs, tmp_path, damage):
    notes = tmp_path / "notes.json"
    missed = unreadable(jobs, SPEC, notes, workers=0)
    made = notes.read_text()
    notes.write_text(damage)
    assert unreadable(jobs, SPEC, notes, workers=0) == missed
    assert notes.read_text() == made
    jobs[0].video.unlink()
    with pytest.raises(PaxionError, match="the file changed, appeared or vanished"):
        unreadable(jobs, spec_of(NeighbourBackbone(), "endpoints"), notes, workers=0)


def test_a_killed_search_keeps_what_it_found(jobs, tmp_path, monkeypatch):
    monkeypatch.setattr(readable, "GROUP", 2)
    monkeypatch.setattr(readable, "NOTED", 4)
    notes, done = tmp_path / "notes.json", 0

    def stop(count: int) -> None:
        nonlocal done
        done += count
        if done >= 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unreadable(jobs, SPEC, notes, workers=0, tick=stop)
    ticks: list[int] = []
    unreadable(jobs, SPEC, notes, workers=0, tick=ticks.append)
    assert ticks == [8, 2, 2]


def test_a_file_that_is_away_for_a_while_is_not_noted(jobs, tmp_path, monkeypatch):
    monkeypatch.setattr(readable, "GROUP", 4)
    notes, away = tmp_path / "notes.json", tmp_path / "away"
    ticks: list[int] = []

    def leave(count: int) -> None:
        ticks.append(count)
        if len(ticks) == 2:
            jobs[6].video.rename(away)

    with pytest.raises(PaxionError, match=rf"{jobs[6].video}: the file .*vanished.* what was done is kept"):
        unreadable(jobs, SPEC, notes, workers=0, tick=leave)
    away.rename(jobs[6].video)
    ticks.clear()
    missed = unreadable(jobs, SPEC, notes, workers=0, tick=ticks.append)
    assert ticks == [4, 4, 4] and list(missed) == [jobs[number].key for number in (2, 5, 7)]


def search(jobs: list[Job], notes: Path, log: Path) -> None:
    """Look, and say how many clips were looked at."""
    ticks: list[int] = []
    unreadable(jobs, SPEC, notes, workers=0, tick=ticks.append)
    with log.open("a") as file:
        file.write(json.dumps(ticks) + "\n")


def test_of_several_processes_one_looks(jobs, tmp_path):
    context = get_context("fork")
    given = (jobs, tmp_path / "notes.json", tmp_path / "log")
    processes = [context.Process(target=search, args=given) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    told = sorted(json.loads(line) for line in (tmp_path / "log").read_text().splitlines())
    assert told == [[0, 12], [12], [12]]


def test_a_folder_that_cannot_be_made_is_told(jobs, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PaxionError, match="cannot make folder"):
        unreadable(jobs, SPEC, tmp_path / "file" / "notes.json", workers=0)
