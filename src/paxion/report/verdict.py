"""What the numbers say, in plain words. Every claim of a difference needs two intervals that do not overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from paxion.records import Score
from paxion.report.downstream import downstream_sentences
from paxion.report.roles import BACKBONE, COMBINED, Roles, named, roles_of, starting
from paxion.report.table import (
    CHANCE,
    CONTROLS,
    DATA_NOTES,
    TEXT,
    Cell,
    change,
    data_names,
    is_downstream,
    look_up,
    model_names,
    percent,
)

GUESS = 0.5
MASTERY = 0.75
"""From here on a model is said to tell things apart; halfway between guessing and always right."""
HARDLY = 0.6
"""Below this a model is said to do hardly better than guessing, even if its interval leaves guessing out."""
ACTIONS = {"antonym": "on antonyms", "reversal": "on reversal"}
PLACES = ACTIONS | {"object": "on objects"}
PLAIN = "patcher-vtc"
LAST_FRAME = "patcher-last-frame"
SHOWN = {
    "shuffled": "with the frames shuffled",
    "last": "when it sees only the last frame",
    "middle": "when it sees only the middle frame",
    "first": "when it sees only the first frame",
    "frozen": "when the clip is frozen at one frame",
    "blind": "when it sees only a blank clip",
    "reversed": "when the clip is reversed",
    "other": "when it sees another clip",
    "antonym_said": "when the antonym is said in place of the caption",
}


def verdict(scores: Sequence[Score], provenance: Mapping[str, object] | None = None) -> str:
    """A few sentences that follow the numbers: what the backbone knows, what the patch changes, what it may rest on.

    provenance: of the run; its `models_on` says which models are patched, and on what. Without it, names tell.
    """
    return " ".join(verdict_sentences(scores, provenance))


def verdict_sentences(scores: Sequence[Score], provenance: Mapping[str, object] | None = None) -> list[str]:
    """The sentences of `verdict`, the main finding first. They are about the first data name, the last about others."""
    if not scores:
        return ["Nothing was scored."]
    shown = controls_alone(scores)
    if shown:
        return [
            f"Only controlled scores were made ({', '.join(shown)}): no model was asked about whole clips, and without "
            f"that there is no verdict."
        ]
    if is_downstream(scores):
        return downstream_sentences(scores, provenance)
    data, *others = data_names(scores)
    roles = roles_of(model_names(scores), provenance)
    patched = patched_name(scores, data, roles)
    base = roles.base(patched) if patched else None
    sentences = []
    for name in roles.plain or (BACKBONE,):
        sentences.append(_backbone(scores, name, data))
        if name != base:
            sentences += _shortcuts(scores, data, name)
    if patched is not None:
        sentences.append(_patch(scores, data, patched, base))
        if roles.on.get(patched) == roles.on.get(PLAIN):
            sentences.append(_plain(scores, data, patched))
        sentences.append(end_states(scores, data))
        sentences += _shortcuts(scores, data, patched)
    joined = [model for model in COMBINED if _probe(scores, model, data, "object")]
    sentences += [
        _combined(scores, data, model, base, brief=model != joined[0])
        for model in joined
        if (base := roles.base(model)) is not None
    ]
    left = [name for name in roles.patched if name not in (patched, PLAIN, LAST_FRAME, *COMBINED)]
    if roles.recorded and left:
        sentences.append(f"Of other patched models nothing is said here, the table has them: {', '.join(left)}.")
    sentences += [_elsewhere(scores, other, patched, roles) for other in others]
    return [sentence for sentence in sentences if sentence]


def controls_alone(scores: Sequence[Score]) -> list[str]:
    """The controls of the scores if no model that sees clips was scored without one, else nothing."""
    seeing = {s.control for s in scores if not s.model.startswith(TEXT) and s.model != CHANCE}
    return [] if "none" in seeing else [name for name in CONTROLS if name in seeing]


def patched_name(scores: Sequence[Score], data: str, roles: Roles) -> str | None:
    """The patched model the verdict is about (see `Roles.subject`), among those scored on actions."""
    return roles.subject([name for name in roles.patched if _actions(scores, name, data)])


def level(cell: Cell) -> Literal["no", "hardly", "partly", "yes"]:
    """How well a binary choice is made, judged by its interval first: "no" if the interval reaches down to guessing."""
    if cell.low <= GUESS:
        return "no"
    return "hardly" if cell.value < HARDLY else "partly" if cell.value < MASTERY else "yes"


def too_few(cell: Cell) -> bool:
    """Whether the interval reaches from guessing to mastery: nothing can be told from so few clips."""
    return cell.low <= GUESS and cell.high >= MASTERY


def _probe(scores: Sequence[Score], model: str, data: str, task: str, control: str = "none") -> Cell | None:
    return look_up(scores, model, data, task, "accuracy", control)


def _actions(scores: Sequence[Score], model: str, data: str) -> dict[str, Cell]:
    """The action probes that the model was scored on."""
    return {task: cell for task in ACTIONS if (cell := _probe(scores, model, data, task)) is not None}


def _share(cell: Cell) -> str:
    return f"{percent(cell.value)} %"


def _list(cells: dict[str, Cell]) -> str:
    return " and ".join(f"{_share(cell)} {ACTIONS[task]}" for task, cell in cells.items())


def _backbone(scores: Sequence[Score], name: str, data: str) -> str:
    """What an unpatched model knows."""
    who = starting(name)
    cells = _actions(scores, name, data)
    objects = _probe(scores, name, data, "object")
    if not cells:
        return f"{who} was not scored on actions."
    where = ", where guessing gives 50 %"
    asked = cells | ({"object": objects} if objects else {})
    unclear = [f"{_share(cell)} ± {percent(cell.half)} {PLACES[task]}" for task, cell in asked.items() if too_few(cell)]
    few = f"The clips are too few to tell how well {named(name)} does: {' and '.join(unclear)}{where}."
    cells = {task: cell for task, cell in cells.items() if not too_few(cell)}
    objects = None if objects and too_few(objects) else objects
    if not cells:
        return f"{few} Objects: {_share(objects)}." if objects else few
    return _known(who, cells, objects, where) + (f" {few}" if unclear else "")


def _known(who: str, cells: dict[str, Cell], objects: Cell | None, where: str) -> str:
    """What a model knows of actions and objects, by numbers that can tell."""
    levels = {level(cell) for cell in cells.values()}
    if levels == {"yes"}:
        return f"{who} already tells actions apart: {_list(cells)}{where}. There is little to patch."
    if not levels <= {"no", "hardly"}:
        also = f" Objects: {_share(objects)}." if objects else ""
        return f"{who} tells actions apart in part: {_list(cells)}{where}.{also}"
    negation = "hardly" if "hardly" in levels else "not"
    if objects is None:
        return f"{who} does {negation} tell actions apart: {_list(cells)}{where}."
    knows = level(objects)
    if knows in ("no", "hardly"):
        return f"{who} can tell neither objects ({_share(objects)}) nor actions apart: {_list(cells)}{where}."
    apart = "apart" if knows == "yes" else "apart in part"
    return f"{who} tells objects {apart} ({_share(objects)}) but {negation} actions: {_list(cells)}{where}."


def _patch(scores: Sequence[Score], data: str, patched: str, base: str | None) -> str:
    after, before = _actions(scores, patched, data), _actions(scores, base, data) if base else {}
    name = "The patched model" if patched == "patcher" else f"The patched model ({patched})"
    shared = {task: change(cell, before[task]) for task, cell in after.items() if task in before}
    if not shared or base is None:
        return f"{name} has {_list(after)}; there is no backbone to compare it with."
    changes = set(shared.values())
    if changes == {"up"}:
        small = max(after[task].value for task in shared) < HARDLY
        return f"{name} is only a little better: {_list(after)}." if small else f"{name} reaches {_list(after)}."
    if changes == {"same"}:
        blurred = any(too_few(after[task]) or too_few(before[task]) for task in shared)
        found = "The clips are too few to tell whether the patch helped" if blurred else "The patch did not help"
        return f"{found}: {_list(after)}, no clear difference from {named(base)}."
    if changes == {"down"}:
        return f"The patch made it worse: {_list(after)}."
    words = {"up": "clearly better", "same": "not clearly different", "down": "clearly worse"}
    parts = [
        f"{words[how]} {ACTIONS[task]} ({_share(after[task])}, {base} {_share(before[task])})"
        for task, how in shared.items()
    ]
    return f"{name} is {' and '.join(parts)}."


def _plain(scores: Sequence[Score], data: str, patched: str) -> str:
    """What matching captions alone reaches: without it, all of the gain would look like that of the objectives."""
    full, plain = _actions(scores, patched, data), _actions(scores, PLAIN, data)
    if patched == PLAIN or not plain or full.keys() != plain.keys():
        return ""
    gains = {change(full[task], plain[task]) for task in full}
    how = {frozenset({"up"}): "clearly less", frozenset({"down"}): "clearly more"}.get(
        frozenset(gains), "not clearly different"
    )
    return f"A patcher trained to match captions only ({PLAIN}) has {_list(plain)}: {how}."


def end_states(scores: Sequence[Score], data: str) -> str:
    """What a patcher reaches that is trained and asked on last frames alone."""
    cells = {task: cell for task in ACTIONS if (cell := _probe(scores, LAST_FRAME, data, task, "last"))}
    return f"A patcher trained and tested on last frames alone ({LAST_FRAME}) has {_list(cells)}." if cells else ""


def _shortcuts(scores: Sequence[Score], data: str, model: str) -> list[str]:
    """Whether a control, or a reader of the texts alone, does as well as the model that sees the whole clip."""
    sentences = []
    checked = False
    for task, where in ACTIONS.items():
        full = _probe(scores, model, data, task)
        if full is None or level(full) in ("no", "hardly"):
            continue
        checked = True
        reader = _probe(scores, "text:best", data, task)
        if reader is not None and change(full, reader) != "up":
            sentences.append(
                f"But a model that reads the texts alone, and sees no clip, has {_share(reader)} {where}, which is as "
                f"good or better: this score says nothing about the clips."
            )
        controls = {
            name: cell for name in CONTROLS if name != "none" and (cell := _probe(scores, model, data, task, name))
        }
        if not controls:
            continue
        name = max(controls, key=lambda key: controls[key].value)
        if change(full, controls[name]) != "up":
            sentences.append(
                f"But it does as well {SHOWN[name]} ({_share(controls[name])} {where}): this score is no evidence that "
                f"it follows the action through time."
            )
        elif level(controls[name]) in ("partly", "yes"):
            sentences.append(f"Some of this needs no motion: {_share(controls[name])} {where} {SHOWN[name]}.")
    if checked and not any(score.control != "none" and score.model == model for score in scores):
        sentences.append("No control was run on it, so a shortcut such as the final state cannot be ruled out.")
    return sentences


def _combined(scores: Sequence[Score], data: str, model: str, base: str, *, brief: bool) -> str:
    """What a joined model keeps and gains; `brief` leaves out the backbone's numbers, said before."""
    objects, known = _probe(scores, model, data, "object"), _probe(scores, base, data, "object")
    if objects is None or known is None:
        return ""
    fate = {"up": "is better on objects", "same": "keeps objects", "down": "loses some of the objects"}
    if level(known) in ("no", "hardly"):
        # What is not there can be neither kept nor lost.
        fate |= {"same": "is not clearly different on objects", "down": "is worse on objects"}
    against = "" if brief else f", {base} {_share(known)}"
    parts = [f"{COMBINED[model]} {fate[change(objects, known)]} ({_share(objects)}{against})"]
    actions = _actions(scores, model, data)
    if actions:
        parts.append(f"has {_list(actions)}")
    after = look_up(scores, model, data, "video_to_text", "R@1")
    before = look_up(scores, base, data, "video_to_text", "R@1")
    if after is not None and before is not None:
        numbers = f"({_share(after)})" if brief else f"({_share(after)} against {_share(before)})"
        times = f"{after.value / before.value:.1f} times as often as" if before.value else "more often than"
        how = change(after, before)
        words = {"up": times, "same": "about as often as", "down": "less often than"}[how]
        parts.append(f"puts the right caption first {words} {named(base)} {numbers}")
    return (", ".join(parts[:-1]) + ", and " + parts[-1] if len(parts) > 1 else parts[0]) + "."


def _elsewhere(scores: Sequence[Score], data: str, patched: str | None, roles: Roles) -> str:
    note = DATA_NOTES.get(data) if roles.patched else None
    place = f"On {data}, {note}," if note else f"On {data},"
    base = roles.base(patched) if patched else None
    before = _actions(scores, base, data) if base else {}
    after = _actions(scores, patched, data) if patched else {}
    shared = [task for task in before if task in after]
    if not shared:
        known = {name: cells for name in roles.plain if (cells := _actions(scores, name, data))}
        has = [f"{named(name)} has {_list(cells)}" for name, cells in known.items()]
        return f"{place} {'; '.join(has)}." if has else ""
    changes = {change(after[task], before[task]) for task in shared}
    partial = "a gain in part" if "up" in changes else f"no clear gain over {named(base or BACKBONE)}"
    outcome = "a clear gain" if changes == {"up"} else partial
    gained = {task: after[task] for task in shared}
    return f"{place} the patched model has {_list(gained)}: {outcome} ({_list({t: before[t] for t in shared})} before)."
