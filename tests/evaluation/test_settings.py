import pytest

from paxion.evaluation.settings import Method, Settings
from paxion.records import PaxionError


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Method("sum"), "unknown method 'sum'"),
        (lambda: Method("score-sum", weight=-1), "got weight -1 of a method"),
        (lambda: Method("score-sum", weight=float("nan")), "got weight nan of a method"),
        (lambda: Method("two-step", top=0), "got top 0 of a method"),
        (lambda: Settings(protocol="papers"), "unknown protocol 'papers' .did you mean 'paper'"),
        (lambda: Settings(protocol="paper", method=Method("score-sum")), "score-sum under protocol paper"),
        (lambda: Settings(prompts=()), "got no prompts"),
        (lambda: Settings(prompts=("a video of",)), 'got prompt "a video of", expected a text with one {}'),
        (lambda: Settings(prompts=("{} or {}",)), "expected a text with one {}"),
        (lambda: Settings(prompts=("{label}",)), "expected a text with one {}"),
        (lambda: Settings(prompts=("{!r}",)), "expected a text with one {}"),
        (lambda: Settings(prompts=("{",)), "expected a text with one {}"),
        (lambda: Settings(question_text="{question}?"), "expected a text with {choice}"),
        (lambda: Settings(question_text="{choice.x}"), "expected a text with {choice}"),
        (lambda: Settings(question_text="{choice} {answer}"), "expected a text with {choice}"),
        (lambda: Settings(labels=("a", "b", "a")), 'got the label "a" twice'),
        (lambda: Settings(texts=("a", " ")), "got an empty text among 2"),
    ],
)
def test_what_cannot_be_meant_is_one_line(make, message):
    with pytest.raises(PaxionError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_question_and_a_choice_are_one_text():
    assert Settings().question("why did he run ? ", "to hide") == "why did he run? to hide"
    # Braces of the data are no fields.
    assert Settings().question("what is {x}", "{0}") == "what is {x}? {0}"
    assert Settings(question_text="{choice}").question("why?", "to hide") == "to hide"


def test_a_method_is_named_beside_the_model():
    assert Method().named("fuser") == "fuser"
    assert Method("two-step").named("fuser") == "fuser [two-step]"
