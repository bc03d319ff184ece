"""The cache of answers: killed writers, damaged lines, full disks."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from paxion.asking.cache import ANSWERS, Cache, digest
from paxion.asking.model import Likelihood
from paxion.records import PaxionError


def test_answers_are_kept_to_the_bit(tmp_path):
    given = [("a", "Yes\nno \U0001f600 \u2028"), ("b", Likelihood(-0.1 - 0.2, 3)), ("c", "")]
    Cache(tmp_path).add(given)
    again = Cache(tmp_path)
    assert [(key, again.get(key)) for key, _ in given] == given and not again.notes and again.get("d") is None


@pytest.mark.parametrize("left", [b'{"key": "b", "sa', b'{"key": "b"}\n', b"\xff\xfe\n", b"[1]\n"])
def test_a_damaged_line_is_left_out_with_a_note_and_harms_no_other(tmp_path, left):
    Cache(tmp_path).add([("a", "Yes")])
    with (tmp_path / ANSWERS).open("ab") as file:
        file.write(left)
    cache = Cache(tmp_path)
    assert cache.get("a") == "Yes" and cache.get("b") is None
    assert len(cache.notes) == 1 and "1 damaged" in cache.notes[0]
    cache.add([("b", "No")])
    again = Cache(tmp_path)
    assert (again.get("a"), again.get("b")) == ("Yes", "No")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_one_clear_line(tmp_path):
    cache = Cache(tmp_path)
    (tmp_path / ANSWERS).symlink_to("/dev/full")
    with pytest.raises(PaxionError, match=os.strerror(errno.ENOSPC)) as raised:
        cache.add([("a", "Yes")])
    assert "\n" not in str(raised.value) and cache.get("a") is None


def test_keys_tell_everything_apart():
    assert len({digest("a", "b"), digest("ab", ""), digest("a", None), digest(["a"], "b"), digest("a", "b", 1)}) == 5


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[4])
from pathlib import Path
from paxion.asking.cache import Cache
from paxion.asking.run import Plan, ask
from paxion.manifest import read_manifest
from answerers import Scripted

manifest, folder, after = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
samples = [s for s in read_manifest(manifest) if s.split == "test" and s.antonym][:4]

def say(clip, prompt):
    if model.calls > after:
        os.kill(os.getpid(), signal.SIGKILL)
    return "A"

model = Scripted("a", say)
found = ask(model, Plan(manifest, {"world": samples}, ("choice",), ("antonym",), batch=2), Cache(folder))
print(model.calls, found.scores[0].value)
"""


def test_a_killed_run_goes_on_where_it_stopped(tiny_manifest, tmp_path):
    def run(after: int) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-c",
            KILLED,
            str(tiny_manifest),
            str(tmp_path),
            str(after),
            str(Path(__file__).parent),
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert run(4).returncode == -signal.SIGKILL
    assert len((tmp_path / ANSWERS).read_text().splitlines()) == 4
    assert run(99).stdout.split() == ["4", "0.5"]
    assert run(0).stdout.split() == ["0", "0.5"]
