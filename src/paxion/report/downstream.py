"""What a run of retrieval, actions and questions says, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paxion.records import Score
from paxion.report.roles import Roles, named, roles_of, starting
from paxion.report.table import Cell, chance, change, data_names, look_up, model_names, percent

SAID = (
    ("questions", "accuracy", "answers {} of the questions right"),
    ("video_to_action", "R@1", "puts the right action first for {} of the clips"),
    ("text_to_video", "R@1", "puts a right clip first for {} of the captions"),
    ("video_to_text", "R@1", "puts the right caption first for {} of the clips"),
)
"""Task, metric and what a share of it means."""
OUTCOMES = {
    "up": "clearly more",
    "same": "no clear difference",
    "down": "clearly less",
}


def downstream_sentences(scores: Sequence[Score], provenance: Mapping[str, object] | None = None) -> list[str]:
    """A sentence or two for each data set and task: the backbone, guessing, and the best patched model.

    Two numbers are called different only where their intervals do not overlap.
    """
    roles = roles_of(model_names(scores), provenance)
    return [
        sentence
        for data in data_names(scores)
        for task, metric, meaning in SAID
        for sentence in _task(scores, data, task, metric, meaning, roles)
    ]


def _task(scores: Sequence[Score], data: str, task: str, metric: str, meaning: str, roles: Roles) -> list[str]:
    found = {name: cell for name in model_names(scores) if (cell := look_up(scores, name, data, task, metric))}
    guess = chance(scores, data, task, metric)
    guessing = "" if guess is None else f", where guessing gives {percent(guess)} %"
    patched = {name: cell for name, cell in found.items() if name in roles.patched}
    others = {name: cell for name, cell in found.items() if name not in patched}
    best = max(patched, key=lambda name: patched[name].value, default=None)
    bases = [name for name in others if best is None or name == roles.base(best)] or list(others)
    said = [
        f"On {data} {named(name)} {meaning.format(_share(others[name]))}{guessing if place == 0 else ''}."
        for place, name in enumerate(bases)
    ]
    if best is None:
        return said
    share = _share(patched[best])
    if len(bases) != 1:
        return [*said, f"On {data} {best} {meaning.format(share)}{'' if said else guessing}."]
    outcome = OUTCOMES[change(patched[best], others[bases[0]])]
    if len(patched) == 1:
        return [*said, f"{starting(best)} has {share}: {outcome}."]
    # The best of several leans high: it is picked by the very number that is shown.
    kinds = "patched models and methods" if any(name.endswith("]") for name in patched) else "patched models"
    return [*said, f"Of {len(patched)} {kinds} {best} has most, {share}: {outcome}."]


def _share(cell: Cell) -> str:
    return f"{percent(cell.value)} %"
