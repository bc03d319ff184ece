"""Writing which clips show a change of state, as published."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from paxion.data.publishing.rows import write_json
from paxion.data.salience import NAME
from paxion.records import Sample


def write_salience(folder: Path, part: str, rows: Iterable[tuple[str, Sample, dict[str, Any]]]) -> None:
    """Write the published list of a part for the rows of which it is known; numbers that they do not have are null.

    rows: what a row is called in the list, the row, and further fields.
    """
    listed = {}
    for key, sample, more in rows:
        if sample.salient is not None:
            listed[key] = {
                "clip_uid": key,
                "start_state_2_t": None,
                "end_state_2_t": None,
                "state_2_t_sim_diff": sample.text_change,
                "v_2_v_sim": sample.state_similarity,
                "if_keep": sample.salient,
                **more,
            }
    write_json(folder / NAME.format(part), listed)
