"""Writing Moments in Time."""

from __future__ import annotations

from pathlib import Path

from paxion.data.publishing.rows import Parts, Written, keep, write_csv, youtube_id
from paxion.data.publishing.videos import put

NEVER_SHOWN = ("clapping", "riding a bicycle", "sneezing")
"""Labels of the list that no clip has, as in the published one."""
VOTES = (3, 0)
"""People who agreed to a label, and who did not: of a manifest, everybody agrees."""


def write_moments(folder: Path, parts: Parts) -> list[Written]:
    """Write trainingSet.csv, validationSet.csv (the rows to evaluate on), moments_categories.txt and the videos.

    A label is the text of an action with + for spaces. Names end in the place of the clip within its group.
    """
    written, labels = [], set(NEVER_SHOWN)
    for part, entries in (("training", parts.train), ("validation", parts.evaluated)):
        kept, counted = keep(entries, f"{part}Set.csv", {"action": lambda entry: entry.name})
        rows = []
        for entry in kept:
            label = _plus(str(entry.name))
            video = f"{label}/yt-{youtube_id(entry.group)}_{entry.place + 1}.mp4"
            put(entry.shot, folder / "videos" / part / video)
            rows.append([video, label, *VOTES])
            labels.add(str(entry.name))
        write_csv(folder / f"{part}Set.csv", (), rows)
        written.append(counted)
    categories = sorted(map(_plus, labels))
    write_csv(folder / "moments_categories.txt", (), [[label, number] for number, label in enumerate(categories)])
    return [*written, Written("moments_categories.txt", len(categories))]


def _plus(label: str) -> str:
    return label.replace(" ", "+")
