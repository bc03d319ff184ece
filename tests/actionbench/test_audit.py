"""Planted cues are found, graded and named; sets without cues are not blamed."""

import json
import random
from dataclasses import replace

import pytest
import torch
from audit_sets import closed, planted

from paxion.actionbench.audit import audit, audit_lines, audit_scores, audit_summary, sampled
from paxion.records import PaxionError, Sample


def grades(result):
    return {finding.name: finding.grade for finding in result.findings}


def scorers(result):
    return {name: found.value for name, found in result.separability.scorers.items()}


def test_a_set_without_cues_is_at_chance():
    result = audit(planted(n=600))
    nested = result.separability.nested
    assert nested.low <= 0.5 <= nested.high
    assert result.verdict.startswith("No text-only classifier tells captions from foils")
    assert (result.grade, result.worst) == ("ok", "")
    assert "problem" not in grades(result).values()


def test_a_word_that_only_foils_say():
    result = audit(planted(lambda foil, draw: foil.replace("a red", "a crimson")))
    assert result.grade == "problem"
    assert result.verdict.startswith("A text-only classifier picks the caption in ")
    assert grades(result)["vocabulary"] == "problem"
    assert result.wording.unused[0][0] == "crimson"
    assert "“crimson” (foil" in result.worst
    example = result.examples[0]
    assert "crimson" in example.foil_words or "red" in example.caption_words
    assert len({(e.caption_words + e.foil_words)[0] for e in result.examples}) > 1


def test_longer_foils():
    result = audit(planted(lambda foil, draw: foil.replace("thing", "thing" + "9" * draw.randrange(1, 4))))
    assert grades(result)["length"] == "problem"
    assert scorers(result)["characters"] == 1.0
    assert "the foil is the longer text in 100.0 %" in result.worst


def test_capitals_and_full_stops():
    result = audit(planted(lambda foil, draw: (foil.capitalize() if draw.random() < 0.5 else foil) + "."))
    assert grades(result)["case"] == grades(result)["punctuation"] == "problem"
    assert scorers(result)["first-capital"] == pytest.approx(0.75, abs=0.05)
    assert scorers(result)["punctuation"] == 1.0
    assert scorers(result)["naive-bayes-words"] == pytest.approx(0.5, abs=0.1)


def test_verbs_that_go_one_way():
    rows = [
        replace(s, caption=s.caption.replace("opening", "filling"), antonym=s.antonym.replace("opening", "emptying"))
        for s in planted()
    ]
    result = audit(rows)
    assert grades(result)["one-way substitutions"] == "problem"
    found = {(c.old, c.new): c.one_way for c in result.wording.substitutions}
    assert found["filling", "closing"]
    assert found["closing", "emptying"]
    two_way = [one_way for change, one_way in found.items() if set(change) == {"pushing", "pulling"}]
    assert two_way == [False]


def test_a_closed_set_is_exactly_at_chance():
    result = audit(closed())
    assert {e.value for e in result.separability.scorers.values()} == {0.5}
    assert result.separability.nested.value == 0.5
    assert result.grade == "ok"
    assert grades(result)["balance"] == grades(result)["real captions"] == "ok"
    assert result.wording.other_way == result.pairs


def test_permuted_pairs_are_at_chance():
    """The same texts, but a coin decides which is the caption."""
    draw = random.Random(5)
    rows = planted(lambda foil, draw: foil.replace("red", "crimson") + "!")
    rows = [replace(s, caption=s.antonym, antonym=s.caption) if draw.random() < 0.5 else s for s in rows]
    result = audit(rows)
    assert result.separability.nested.low <= 0.5 <= result.separability.nested.high
    assert result.grade in ("ok", "note")


def test_rows_that_cannot_be_judged_or_should_not_be():
    rows = planted(n=60)
    rows += [replace(rows[0], id="none", antonym=None), replace(rows[0], id="twin", caption=rows[0].antonym)]
    rows[1] = replace(rows[1], antonym=rows[1].caption)
    result = audit(rows)
    assert (result.rows, result.available, result.pairs) == (62, 61, 61)
    found = {finding.name: finding for finding in result.findings}
    assert found["rows without a foil"].sentence == "1 of 62 rows have no foil and do not count."
    assert found["empty foils"].grade == "problem"
    assert found["true foils"].sentence.startswith("1 foils are another caption of the same clip")


def test_pairs_that_training_has_seen():
    rows = planted(n=100)
    again = [replace(s, id=s.id + "t", split="train", group=s.group + "t") for s in rows[:40]]
    result = audit(rows + again)
    assert grades(result)["repeats across splits"] == "problem"
    assert "repeats across splits" not in grades(audit(rows))
    assert grades(audit(closed(100) + closed(100, split="train")))["repeats across splits"] == "ok"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (planted(n=12), "Cannot tell: got 12 pairs"),
        ([replace(s, group="one") for s in planted(n=60)], "Cannot tell: all pairs come from 1 source"),
        ([replace(s, antonym=None) for s in planted(n=60)], "Cannot tell: got 0 pairs"),
    ],
)
def test_too_few_to_tell(rows, said):
    result = audit(rows)
    assert result.verdict.startswith(said)
    assert (result.grade, result.separability, result.examples, audit_scores(result)) == (None, None, (), [])
    json.dumps(audit_summary(result))
    assert audit_lines(result)[0] == result.verdict


def test_bad_calls_end_in_one_line():
    with pytest.raises(PaxionError, match=r"unknown foil 'antonyms' \(did you mean 'antonym'"):
        audit(planted(n=1), "antonyms")
    with pytest.raises(PaxionError, match="got no rows to audit"):
        audit([])
    with pytest.raises(PaxionError, match="expected at least 1 pair and 3 folds"):
        audit(planted(n=1), folds=2)
    with pytest.raises(PaxionError, match="not all finite"):
        audit(planted(n=60), plausibility=lambda texts: torch.full((len(texts),), float("nan")))


def test_the_object_foil_is_its_own_audit():
    rows = [replace(s, replaced=s.caption + " zzz") for s in planted(n=60)]
    result = audit(rows, "replaced")
    assert {score.task for score in audit_scores(result)} == {"object"}
    assert result.separability.nested.value == 1.0


def test_a_language_model_is_one_more_scorer():
    """It is asked once for each text, and may prefer foils: which way it points is learned."""
    rows = planted(n=80)
    foils = {s.antonym for s in rows} - {s.caption for s in rows}
    asked = []

    def likely(texts):
        asked.extend(texts)
        return torch.tensor([float(text in foils) for text in texts])

    result = audit(rows, plausibility=likely)
    assert scorers(result)["plausibility"] > 0.95
    assert len(asked) == len(set(asked)) == len({text for s in rows for text in (s.caption, s.antonym)})


def test_scores_and_summary_can_be_written():
    result = audit(planted(n=80), seed=3)
    scores = audit_scores(result)
    assert [score.model for score in scores[-2:]] == ["text:best", "text:best-nested"]
    assert scores[0].value == scores[-2].value
    assert {(s.data, s.task, s.control, s.metric, s.n, s.seed) for s in scores} == {
        ("planted", "antonym", "none", "accuracy", 80, 3)
    }
    summary = json.loads(json.dumps(audit_summary(result), allow_nan=False))
    assert summary["verdict"] == result.verdict
    assert summary["wording"]["pairs"] == summary["pairs"] == 80
    assert len(summary["scores"]) == len(scores)


def test_the_seed_decides_and_nothing_else():
    rows = planted(n=100)
    assert audit_summary(audit(rows, seed=1)) == audit_summary(audit(iter(rows), seed=1))
    assert audit_scores(audit(rows, seed=1)) != audit_scores(audit(rows, seed=2))


def test_large_sets_are_sampled_by_whole_groups():
    rows = planted(n=100)
    kept = sampled(rows, "antonym", 31, 0)
    assert len(kept) == 30
    groups = [s.group for s in rows]
    assert all(groups.count(s.group) == [k.group for k in kept].count(s.group) for s in kept)
    assert kept == [s for s in rows if s in kept]
    assert sampled(rows, "antonym", 31, 1) != kept
    result = audit(rows, cap=60)
    assert (result.pairs, result.available, result.sampled) == (60, 100, True)
    assert "a sample of 100" in audit_lines(result)[-len(result.findings) - 1]


def test_a_sample_of_a_closed_set_is_closed():
    result = audit(closed(400), cap=100)
    assert 80 < result.pairs <= 100
    assert result.separability.nested.value == 0.5
    assert result.wording.other_way == result.pairs


def test_one_group_larger_than_the_cap():
    rows = [Sample(str(i), "v", f"a{i}", "test", "g", antonym=f"b{i}") for i in range(9)]
    assert sampled(rows, "antonym", 4, 0) == rows[:4]


def test_a_wide_interval_is_not_called_clean():
    for seed in (0, 1, 2):
        result = audit(planted(n=60, seed=seed))
        assert result.grade == "note"
        assert "there are few pairs to say so" in result.verdict
