"""How far the numbers can be trusted, said by the numbers themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paxion.records import PROBES, TASKS, Score
from paxion.report.table import CONTROLS, DATA_NOTES, TEXT, data_names, look_up, model_names, percent
from paxion.report.verdict import SHOWN, end_states, level, patched_name

SEPARATE = 0.9
"""Below this cosine, a caption and its antonym are far enough apart to be told apart by their vectors."""
WORLD_LIMITS = (
    "An object foil changes colour and shape at once, so telling colours apart is enough.",
    "The same actions, said in the same ways, are in training and test: nothing here is about new actions or words.",
    "No choice was made on the test clips: the settings were chosen on validation clips.",
    "The clips are drawings of moving shapes. How large the effect is on filmed video is unknown.",
)


def trust(scores: Sequence[Score], provenance: Mapping[str, object]) -> list[str]:
    """Short paragraphs: sizes and intervals, seeds, texts alone, controls, ties, disclosures. They follow the data."""
    points = [_sizes(scores), _seeds(scores), _texts(scores), _controls(scores), _end_states(scores), _ties(scores)]
    if set(data_names(scores)) & set(DATA_NOTES):
        points.append(_hard_negatives(provenance))
        points += WORLD_LIMITS
    return [point for point in points if point]


def _sizes(scores: Sequence[Score]) -> str:
    sizes = {data: max((s.n for s in scores if s.data == data), default=0) for data in data_names(scores)}
    if not sizes:
        return ""
    listed = ", ".join(f"{size} in {data}" for data, size in sizes.items())
    return (
        f"Test clips or queries scored, at most: {listed}. Each ± is half the width of a 95 % interval, clustered by "
        f"the source of the clips. Two numbers are called different only where their intervals do not overlap."
    )


def _seeds(scores: Sequence[Score]) -> str:
    seeds = sorted({score.seed for score in scores})
    if not seeds:
        return ""
    if len(seeds) == 1:
        return (
            f"One training run (seed {seeds[0]}). The intervals cover the choice of test clips, not the luck of a "
            f"training run."
        )
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


def _controls(scores: Sequence[Score]) -> str:
    if not scores:
        return ""
    data = data_names(scores)[0]
    model = patched_name(scores, data) or "backbone"
    full = look_up(scores, model, data, "antonym")
    cells = {
        name: cell
        for name in CONTROLS
        if name != "none" and (cell := look_up(scores, model, data, "antonym", control=name))
    }
    if full is None or not cells:
        return "No control was run: how much of the score comes from single frames alone is not known."
    name = max(cells, key=lambda key: cells[key].value)
    return (
        f"Controls: on {data} antonyms the {model} has {percent(full.value)} % with the whole clip. With part of it "
        f"taken away it has at most {percent(cells[name].value)} %, {SHOWN[name]}."
    )


def _end_states(scores: Sequence[Score]) -> str:
    said = end_states(scores, data_names(scores)[0]) if scores else ""
    if not said:
        return "The controls ask models that were trained on whole clips; one trained on single frames may do better."
    return (
        f"End states: the controls ask models that were trained on whole clips. {said} That much can be learned from "
        f"what actions end in; only what a model has above it shows that it follows the action."
    )


def _ties(scores: Sequence[Score]) -> str:
    """The task where the backbone ties on more than half of the samples, if there is one."""
    for data in data_names(scores):
        for task in TASKS[:3]:
            cell = look_up(scores, "backbone", data, task)
            if cell is not None and cell.ties > cell.n / 2:
                return (
                    f"Ties: on {cell.ties} of {cell.n} {task} choices in {data} the backbone scores both answers the "
                    f"same. A tie counts one half, so 50 % there means that it cannot see the difference at all."
                )
    return ""


def _hard_negatives(provenance: Mapping[str, object]) -> str:
    backbone = provenance.get("backbone")
    if not isinstance(backbone, Mapping) or backbone.get("name") != "world":
        return ""
    text = (
        "The text tower of the backbone was trained with antonym pairs as hard text negatives, so that a caption and "
        "its opposite do not get the same vector"
    )
    cosine = backbone.get("antonym_cosine")
    if isinstance(cosine, int | float):
        text += f" (mean cosine of the two: {cosine:.2f})"
        if cosine < SEPARATE:
            return text + ". Where it fails on antonyms, the words are not the reason."
    return text + "."
