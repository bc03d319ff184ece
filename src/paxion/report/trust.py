"""How far the numbers can be trusted, said by the numbers themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paxion.records import PROBES, Score
from paxion.report.roles import GLOSSES, Roles, named, roles_of
from paxion.report.table import (
    CONTROLS,
    DATA_NOTES,
    TEXT,
    data_names,
    is_downstream,
    look_up,
    model_names,
    percent,
)
from paxion.report.verdict import SHOWN, controls_alone, end_states, level, patched_name

SEPARATE = 0.9
"""Below this cosine, a caption and its antonym are far enough apart to be told apart by their vectors."""
PLURALS = {"antonym": "antonyms", "object": "objects"}
FOILS = "An object foil changes colour and shape at once, so telling colours apart is enough."
SAME_WORDS = (
    "The same actions, said in the same ways, are in training and test: nothing here is about new actions or words."
)
CHOICES = "No choice was made on the test clips: the settings were chosen on validation clips."
DRAWINGS = "The clips are drawings of moving shapes. How large the effect is on filmed video is unknown."
DOWNSTREAM = (
    "No clip was taken apart or turned round here: a score may come from objects and scenes alone. Whether a model "
    "follows the action is what paxion probe asks."
)


def trust(scores: Sequence[Score], provenance: Mapping[str, object]) -> list[str]:
    """Short paragraphs: sizes and intervals, seeds, texts alone, controls, ties, disclosures. They follow the data."""
    roles = roles_of(model_names(scores), provenance)
    points = [_sizes(scores), _seeds(scores, roles)]
    if is_downstream(scores):
        points += [DOWNSTREAM, *_noted(provenance)]
    else:
        points += [_texts(scores), *_controls(scores, roles), _end_states(scores, roles), *_ties(scores, roles)]
    if set(data_names(scores)) & set(DATA_NOTES):
        points += [_hard_negatives(provenance), FOILS]
        # These are about how the models of the world were made.
        points += [SAME_WORDS, CHOICES] if roles.patched else []
        points.append(DRAWINGS)
    return [point for point in points if point]


def _noted(provenance: Mapping[str, object]) -> list[str]:
    """What the run has noted about its data, a sentence each."""
    notes = provenance.get("notes")
    lines = notes if isinstance(notes, Sequence) and not isinstance(notes, str) else ()
    return [f"{line}." for line in map(str, lines) if line]


def _sizes(scores: Sequence[Score]) -> str:
    sizes = {data: max((s.n for s in scores if s.data == data), default=0) for data in data_names(scores)}
    if not sizes:
        return ""
    listed = ", ".join(f"{size} in {data}" for data, size in sizes.items())
    return (
        f"Test clips or queries scored, at most: {listed}. Each ± is half the width of a 95 % interval, clustered by "
        f"the source of the clips. Two numbers are called different only where their intervals do not overlap."
    )


def _seeds(scores: Sequence[Score], roles: Roles) -> str:
    seeds = sorted({score.seed for score in scores})
    if not seeds or not roles.patched:
        return ""
    if len(seeds) == 1:
        # A probe of adapters has a seed of its own, and does not know that of their training.
        runs = "One training run of each patched model" if roles.recorded else f"One training run (seed {seeds[0]})"
        return f"{runs}. The intervals cover the choice of test clips, not the luck of a training run."
    return (
        f"{len(seeds)} training runs (seeds {', '.join(map(str, seeds))}). Numbers are means over the runs of a model, "
        f"intervals cover the choice of test clips, and sd is the standard deviation over the runs."
    )


def _texts(scores: Sequence[Score]) -> str:
    readers = {score.model for score in scores if score.model.startswith(TEXT)}
    if not readers:
        return "No model that reads the texts alone was scored, so foils that give themselves away cannot be ruled out."
    count = len(readers - {f"{TEXT}best"})
    who = f"the best of {count} models (picked afterwards, so it leans high)" if count > 1 else "a model"
    parts, given_away = [], []
    for data in data_names(scores):
        for task in PROBES:
            cells = [look_up(scores, name, data, task) for name in model_names(scores) if name in readers]
            best = max((cell for cell in cells if cell), key=lambda cell: cell.value, default=None)
            if best is not None:
                parts.append(f"{percent(best.value)} % on {task} ({data})")
                if level(best) != "no":
                    given_away.append(task)
    if not parts:
        return ""
    outcome = (
        f"The texts give something away on {' and '.join(dict.fromkeys(given_away))}; read those scores against it."
        if given_away
        else "That cannot be told from guessing: the texts do not give the answer away."
    )
    return f"Texts alone: {who} reading both texts, without the clip, has {', '.join(parts)}. {outcome}"


def _controls(scores: Sequence[Score], roles: Roles) -> list[str]:
    """A paragraph for the patched model, else one for each backbone: the whole clip beside its best control."""
    if not scores:
        return []
    if all(score.control == "none" for score in scores):
        return ["No control was run: how much of the score comes from single frames alone is not known."]
    if controls_alone(scores):
        return ["Only controlled scores were made: what the models have on whole clips is not known."]
    data = data_names(scores)[0]
    patched = patched_name(scores, data, roles)
    found = [_controlled(scores, data, model) for model in ((patched,) if patched else roles.plain)]
    return [point for point in found if point]


def _controlled(scores: Sequence[Score], data: str, model: str) -> str:
    """What a model has on antonyms, else on the first probe that was asked with the whole clip and under controls."""
    for task in PROBES:
        full = look_up(scores, model, data, task)
        asked = {name: look_up(scores, model, data, task, control=name) for name in CONTROLS if name != "none"}
        cells = {name: cell for name, cell in asked.items() if cell}
        if full is not None and cells:
            name = max(cells, key=lambda key: cells[key].value)
            return (
                f"Controls: on {data} {PLURALS.get(task, task)} {'the ' if model in GLOSSES else ''}{model} has "
                f"{percent(full.value)} % with the whole clip. Under the controls it has at most "
                f"{percent(cells[name].value)} %, {SHOWN[name]}."
            )
    return ""


def _end_states(scores: Sequence[Score], roles: Roles) -> str:
    if not roles.patched:
        return ""
    said = end_states(scores, data_names(scores)[0]) if scores else ""
    if not said:
        return "The controls ask models that were trained on whole clips; one trained on single frames may do better."
    return (
        f"End states: the controls ask models that were trained on whole clips. {said} That much can be learned from "
        f"what actions end in; only what a model has above it shows that it follows the action."
    )


def _ties(scores: Sequence[Score], roles: Roles) -> list[str]:
    """For each backbone, the task where it ties on more than half of the samples, if there is one."""
    points = []
    for model in roles.plain:
        found = ((data, task, look_up(scores, model, data, task)) for data in data_names(scores) for task in PROBES)
        tied = ((data, task, cell) for data, task, cell in found if cell is not None and cell.ties > cell.n / 2)
        for data, task, cell in list(tied)[:1]:
            points.append(
                f"Ties: on {cell.ties} of {cell.n} {task} choices in {data} {named(model)} scores both answers the "
                f"same. A tie counts one half, so 50 % there means that it cannot see the difference at all."
            )
    return points


def _hard_negatives(provenance: Mapping[str, object]) -> str:
    backbone, several = provenance.get("backbone"), provenance.get("backbones")
    if not isinstance(backbone, Mapping) or backbone.get("name") != "world":
        return ""
    which = "world backbone" if several else "backbone"
    text = (
        f"The text tower of the {which} was trained with antonym pairs as hard text negatives, so that a caption and "
        "its opposite do not get the same vector"
    )
    cosine = backbone.get("antonym_cosine")
    if isinstance(cosine, int | float):
        text += f" (mean cosine of the two: {cosine:.2f})"
        if cosine < SEPARATE:
            return text + ". Where it fails on antonyms, the words are not the reason."
    return text + "."
