"""Which rows of a manifest a recipe can be trained on, and what it makes of their questions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice

from paxion.evaluation.questions import questions_of
from paxion.patching.recipe import Recipe
from paxion.records import PaxionError, Sample


def usable(recipe: Recipe, samples: Sequence[Sample]) -> tuple[list[Sample], dict[str, int]]:
    """The rows that have the texts of a recipe, and how many have not, by reason.

    All questions of a training have as many choices as most of its rows have. Raises PaxionError when fewer than two
    rows are left by a recipe that needs more than captions.
    """
    if recipe.task == "questions":
        asked = questions_of(samples, "train")
        fitting, left_out = list(asked.samples), {missed.reason: missed.count for missed in asked.missed}
        rows = [s for s in fitting if not recipe.vac or len(s.antonym_choices or ()) <= asked.width]
        left_out |= {"a question with more antonyms than choices": len(fitting) - len(rows)}
        what = "a question, its choices and an answer"
    elif recipe.texts == "template":
        rows = [sample for sample in samples if sample.template]
        left_out, what = {"no template": len(samples) - len(rows)}, "a template"
    else:
        return list(samples), {}
    left_out = {reason: count for reason, count in left_out.items() if count}
    if len(rows) < 2:
        why = "".join(f"; {count}: {reason}" for reason, count in left_out.items())
        raise PaxionError(
            f"got {len(rows)} of {len(samples)} rows with {what}, expected at least 2 for this recipe to train on{why}"
        )
    return rows, left_out


def texts_of(recipe: Recipe) -> tuple[object, ...]:
    """What decides which texts a recipe reads of its rows: training data of one is of no use to another."""
    if recipe.task == "captions":
        return recipe.task, recipe.texts
    return recipe.task, recipe.question_text, recipe.vac, recipe.protocol, bool(recipe.atm or recipe.antonym_pair)


def further_choices(recipe: Recipe, sample: Sample) -> list[str]:
    """As many further wrong answers as a question has choices: the antonyms that are known, then the wrong ones again.

    Only choices whose action could be turned round have an antonym, and nothing says which these are. What the right
    answer says too is no wrong one and is passed over, but by protocol paper.

    Source: Paxion (NeurIPS 2023), published code.
    """
    assert sample.choices is not None and sample.answer is not None
    right = sample.choices[sample.answer]
    wrong = [choice for place, choice in enumerate(sample.choices) if place != sample.answer]
    known = [text for text in sample.antonym_choices or () if recipe.protocol == "paper" or text != right]
    return [*known, *islice(cycle(wrong), len(sample.choices) - len(known))]
