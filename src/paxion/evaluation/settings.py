"""How a data set is scored: candidates, prompts, questions, protocol, and how a model and its backbone go together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from string import Formatter
from typing import Literal, get_args

from paxion.records import PaxionError, unknown_name

Kind = Literal["plain", "softmax-sum", "score-sum", "two-step"]
Protocol = Literal["default", "paper"]
METHODS: tuple[Kind, ...] = get_args(Kind)
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


@dataclass(frozen=True, slots=True)
class Method:
    """How a model's scores become those that are ranked. All but `plain` need the backbone's encoder beside it.

    plain: the model's own.
    softmax-sum: of each query, the softmax over its candidates of the model's scores plus that of the backbone's, each
    with its own temperature (published as `ensemble_with_backbone`).
    score-sum: the model's score + weight * the backbone's.
    two-step: the model orders the backbone's best `top` candidates; all others stay below them, in the backbone's order
    (published as `two_step_independent`, where those others are all equal).
    """

    kind: Kind = "plain"
    weight: float = 0.5
    """Of score-sum."""
    top: int = 50
    """Of two-step."""

    def __post_init__(self) -> None:
        """Raise PaxionError for an unknown kind, a weight that is not finite and at least 0, or a top below 1."""
        if self.kind not in METHODS:
            raise unknown_name("method", self.kind, METHODS)
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise PaxionError(f"got weight {self.weight} of a method, expected a finite number of at least 0")
        if self.top < 1:
            raise PaxionError(f"got top {self.top} of a method, expected at least 1 candidate to be ranked again")

    def named(self, model: str) -> str:
        """What results call a model under this method: its own name under `plain`, else "model [kind]"."""
        return model if self.kind == "plain" else f"{model} [{self.kind}]"


@dataclass(frozen=True, slots=True)
class Settings:
    """How a data set is scored."""

    labels: tuple[str, ...] = ()
    """Candidates of video_to_action, also those that no clip has. Empty: the distinct templates of the clips."""
    texts: tuple[str, ...] = ()
    """Captions beside those of the clips: candidates of video_to_text for which no clip is right."""
    prompts: tuple[str, ...] = ("{}",)
    """What an action's name is put into. With several, its vector is the mean of their unit vectors, at unit length."""
    question_text: str = "{question}? {choice}"
    """How a question (without its "?") and a choice become one text."""
    hard: frozenset[str] = frozenset()
    """Ids of the samples whose questions are the hard subset."""
    protocol: Protocol = "default"
    """`paper` scores as the published code did, ties and all."""
    method: Method = Method()
    per_action: bool = False
    """Also score every action of video_to_action on its own."""

    def __post_init__(self) -> None:
        """Raise PaxionError, one line, for settings that cannot be meant."""
        if self.protocol not in PROTOCOLS:
            raise unknown_name("protocol", self.protocol, PROTOCOLS)
        if self.protocol == "paper" and self.method.kind == "score-sum":
            raise PaxionError("got the method score-sum under protocol paper, where it does not exist; use softmax-sum")
        if not self.prompts:
            raise PaxionError('got no prompts, expected at least one, such as "{}"')
        for prompt in self.prompts:
            if prompt.count("{}") != 1 or _fields(prompt) != [""]:
                raise PaxionError(f'got prompt "{prompt}", expected a text with one {{}} in the place of the action')
        unknown = set(_fields(self.question_text)) - {"question", "choice"}
        if unknown or "choice" not in _fields(self.question_text):
            raise PaxionError(
                f'got question text "{self.question_text}", expected a text with {{choice}} and perhaps {{question}}'
            )
        for what, texts in (("label", self.labels), ("text", self.texts)):
            if any(not text.strip() for text in texts):
                raise PaxionError(f"got an empty {what} among {len(texts)}, expected words; check the list")
            if len(set(texts)) < len(texts):
                again = next(text for i, text in enumerate(texts) if text in texts[:i])
                raise PaxionError(f'got the {what} "{again}" twice, expected each once; leave one out')

    def question(self, question: str, choice: str) -> str:
        """The text of a choice: the question without its question mark and spaces at the end, and the choice."""
        return self.question_text.format(question=question.rstrip("? \t\n"), choice=choice)


def _fields(template: str) -> list[str]:
    try:
        parsed = list(Formatter().parse(template))
    except ValueError:
        return ["not a template"]
    # A conversion or a format would do something to the text that nobody asked for.
    return [
        name + (f"!{how}" if how else "") + (f":{form}" if form else "")
        for _, name, form, how in parsed
        if name is not None
    ]


DEFAULT = Settings()
"""A data set's own templates and captions, each model on its own."""
