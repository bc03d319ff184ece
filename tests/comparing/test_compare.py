"""Comparing rows: the numbers against the statistics they come from, symmetry, and what is counted and named."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paxion.comparing.compare import compare
from paxion.comparing.runs import Run, named, runs_of
from paxion.evaluation.multiple import holm
from paxion.evaluation.paired import mcnemar, paired_difference, permutation
from paxion.records import PaxionError, Row

ROW = Row("a", "g", "clip", "set", "antonym", "none", 0, 0.3, 0.1, 1.0)
SAID = {"protocol": "default", "manifest": {"hash": "m1", "split": "test"}, "sampler": "midpoint", "engine": "PyAV 18"}
CREDIT = st.sampled_from([0.0, 0.5, 1.0])
PAIRS = st.lists(st.tuples(CREDIT, CREDIT, st.sampled_from("abcde")), min_size=1, max_size=25)


def run(name, credits, groups=None, said=SAID, strata=None, **facts):
    """A run whose samples are 0, 1, 2 ... unless credits is a dict."""
    listed = credits if isinstance(credits, dict) else {str(i): credit for i, credit in enumerate(credits)}
    groups = groups or list(listed)
    rows = [
        replace(ROW, id=each, group=group, credit=credit, model=name, **facts)
        for (each, credit), group in zip(listed.items(), groups, strict=True)
    ]
    return Run(name, name, "", said, rows, strata or {})


def more(first, *others):
    """One run with the rows of several."""
    return replace(first, rows=[*first.rows, *(row for other in others for row in other.rows)])


@given(PAIRS)
@settings(max_examples=40)
def test_a_line_is_the_paired_statistics_of_the_common_samples(pairs):
    ours, theirs = (np.array([pair[i] for pair in pairs]) for i in (0, 1))
    groups = [group for *_, group in pairs]
    found = compare([run("base", theirs, groups), run("model", ours, groups)])
    (line,) = found.lines
    expected, paired = paired_difference(ours, theirs, groups), line.paired
    assert (paired.difference, paired.low, paired.high) == (expected.value, expected.low, expected.high)
    assert (paired.n, paired.groups) == (len(pairs), len(set(groups)))
    assert (paired.model, paired.baseline) == (np.mean(ours), np.mean(theirs))
    assert paired.p == paired.holm == permutation(ours - theirs, groups)
    assert paired.mcnemar == mcnemar(ours, theirs)


@given(PAIRS)
@settings(max_examples=40)
def test_the_other_way_round_is_the_opposite(pairs):
    groups = [group for *_, group in pairs]
    one, two = (run(name, [pair[i] for pair in pairs], groups) for i, name in enumerate(("one", "two")))
    strata = {str(i): {"verb": "fall" if i % 2 else "open"} for i in range(len(pairs))}
    one = replace(one, strata=strata)
    there, back = (compare(pair, by="verb").lines[0] for pair in ([one, two], [two, one]))
    for ours, theirs in ((there, back), *((a, b) for a in there.strata for b in back.strata if a.name == b.name)):
        assert ours.paired.difference == pytest.approx(-theirs.paired.difference, abs=1e-12)
        assert (ours.paired.low, ours.paired.high) == pytest.approx(
            (-theirs.paired.high, -theirs.paired.low), abs=1e-12
        )
        assert ours.paired.p == theirs.paired.p
        assert ours.paired.mcnemar == theirs.paired.mcnemar
        assert ours.paired.detectable == pytest.approx(theirs.paired.detectable)
        assert (ours.paired.model, ours.paired.baseline) == (theirs.paired.baseline, theirs.paired.model)


@given(PAIRS)
@settings(max_examples=20)
def test_a_run_does_not_differ_from_itself(pairs):
    one = run("one", [pair[0] for pair in pairs], [group for *_, group in pairs])
    paired = compare(named([one, one])).lines[0].paired
    assert (paired.difference, paired.p, paired.holm, paired.mcnemar, paired.detectable) == (0, 1, 1, 1, None)
    assert paired.low <= 0 <= paired.high


@given(PAIRS, st.lists(st.sampled_from(["fall", "open", "lift"]), min_size=25, max_size=25))
@settings(max_examples=40)
def test_strata_are_the_whole_worst_first_and_corrected_together(pairs, verbs):
    strata = {str(i): {"verb": verb} for i, verb in enumerate(verbs)}
    groups = [group for *_, group in pairs]
    one, two = (run(name, [pair[i] for pair in pairs], groups) for i, name in enumerate(("one", "two")))
    (line,) = compare([one, replace(two, strata=strata)], by="verb").lines
    assert sum(each.paired.n for each in line.strata) == line.paired.n
    for part in ("difference", "baseline", "model"):
        whole = sum(each.paired.n * getattr(each.paired, part) for each in line.strata) / line.paired.n
        assert whole == pytest.approx(getattr(line.paired, part), abs=1e-12)
    assert [each.paired.holm for each in line.strata] == pytest.approx(holm([each.paired.p for each in line.strata]))
    differences = [each.paired.difference for each in line.strata]
    assert differences == sorted(differences)


def test_holm_counts_every_line_of_the_comparison():
    random = np.random.default_rng(0)

    def many(name, share):
        return more(*(
            run(name, random.binomial(1, share, 30).astype(float), task=task, control=control)
            for task in ("antonym", "object") for control in ("none", "first")
        ))  # fmt: skip

    runs = [many("base", 0.5), many("one", 0.7), many("two", 0.8)]
    found = compare(runs, controls=("all",))
    assert len(found.lines) == 8 and "8 lines" in found.family
    assert [line.paired.holm for line in found.lines] == holm([line.paired.p for line in found.lines])
    # Without the controls there are four tests: less to correct.
    assert [line.control for line in compare(runs).lines] == ["none"] * 4
    assert [line.task for line in compare(runs, tasks=("object",)).lines] == ["object"] * 2
    assert found.models == ("one", "two") and found.baseline == "base"
    assert [(line.model, line.task, line.control) for line in found.lines[:4]] == [
        ("one", "antonym", "none"), ("one", "antonym", "first"), ("one", "object", "none"), ("one", "object", "first"),
    ]  # fmt: skip


def test_seeds_are_averaged_by_sample_and_add_no_samples():
    groups = list("aabbcc")
    base = run("base", [0, 1, 0, 1, 0, 0], groups)
    seeds = [run("model", credits, groups, seed=seed) for seed, credits in
             enumerate(([1, 1, 0, 1, 0, 1], [0, 1, 1, 1, 0, 1], [1, 1, 1, 1, 1, 1]))]  # fmt: skip
    (line,) = compare([base, more(*seeds)]).lines
    mean = np.mean([[row.credit for row in each.rows] for each in seeds], axis=0)
    expected = paired_difference(mean, np.array([0, 1, 0, 1, 0, 0.0]), groups)
    assert line.paired.difference == pytest.approx(expected.value)
    assert (line.paired.low, line.paired.high) == pytest.approx((expected.low, expected.high))
    assert (line.paired.n, line.seeds) == (6, (1, 3))


def test_a_sample_without_some_seed_is_counted():
    model = more(run("model", [1, 1, 0]), run("model", [1, 0], seed=1))
    found = compare([run("base", [0, 0, 0]), model])
    assert found.lines[0].paired.model == pytest.approx((1 + 0.5 + 0) / 3)
    assert "antonym on set: 1 sample of model lack some of its 2 seeds" in found.notes


def test_samples_that_one_run_has_alone_are_named_and_in_no_number():
    base, model = run("base", {"a": 1, "b": 0, "c": 1}), run("model", {"b": 1, "c": 1, "d": 0, "e": 0})
    found = compare([base, model])
    (line,) = found.lines
    assert (line.paired.n, line.paired.baseline, line.paired.model) == (2, 0.5, 1.0)
    assert (line.only_baseline, line.only_model) == (("a",), ("d", "e"))
    assert found.notes == (
        "antonym on set: only base has 1 sample (a): in no number",
        "antonym on set: only model has 2 samples (d, e): in no number",
    )


def test_retrieval_among_other_candidates_is_said_to_be_so():
    base, model = (run(name, {"a": 1, "b": 0} | more, task="text_to_video") for name, more in
                   (("base", {}), ("model", {"c": 1})))  # fmt: skip
    found = compare([base, model])
    assert found.lines[0].metric == "R@1"
    assert any("the candidates differ by these samples too" in note for note in found.notes)
    assert not compare([base, replace(base, name="model")]).notes


def test_tasks_that_one_run_has_alone_are_named():
    base = more(run("base", [1, 0]), run("base", [1], task="object"))
    found = compare([base, more(run("model", [1, 0]), run("model", [1, 1], data="other"))])
    assert [line.task for line in found.lines] == ["antonym"]
    assert found.notes == (
        "object on set: only base has it (1 sample): not compared",
        "antonym on other: only model has it (2 samples): not compared",
    )


def test_twins_are_two_rows_of_one_group():
    twins = {"a": 1.0, "a#reversed": 0.0, "b": 1.0, "b#reversed": 1.0}
    base = run("base", dict.fromkeys(twins, 0.5), list("xxyy"), task="twins", strata={"a": {"verb": "fall"}})
    (line,) = compare([base, run("model", twins, list("xxyy"), task="twins")], by="verb").lines
    assert (line.paired.n, line.paired.groups, line.paired.difference) == (4, 2, 0.25)
    assert [(each.name, each.paired.n, each.paired.difference) for each in line.strata] == [
        ("fall", 2, 0.0), ("(no verb)", 2, 0.5),
    ]  # fmt: skip


def test_samples_without_the_fact_are_a_stratum_that_is_counted():
    base = run("base", [1, 0, 1], strata={"0": {"verb": "fall"}})
    found = compare([base, run("model", [1, 1, 1])], by="verb")
    assert {each.name: each.paired.n for each in found.lines[0].strata} == {"fall": 1, "(no verb)": 2}
    assert "antonym on set: 2 of 3 have no verb: (no verb)" in found.notes


REFUSED = [
    ([run("base", [1, 0])], {}, "got one model .base. to compare, expected two or more"),
    ([], {}, "got none to compare"),
    ([run("base", {"a": 1}), run("model", {"b": 1})], {}, r"no samples in common: base has .*first id a"),
    ([run("base", {"a": 1}), run("model", {"a": 1}, data="x")], {}, "no samples in common.*model has antonym of x"),
    ([run("base", [1]), run("model", [float("nan")])], {}, "model: 1 row .'0'. with a credit that is no finite number"),
    ([run("base", [1]), more(run("model", [1]), run("model", [1]))], {}, "model: 1 row .'0'. twice under one data set"),
    ([run("base", [1], "g"), run("model", [1], "h")], {}, r"model has 1 sample \(0\) in other groups than base"),
    ([run("base", [1]), run("model", [1])], {"tasks": ["antonyms"]}, "unknown task 'antonyms'.*mean 'antonym'"),
    ([run("base", [1]), run("model", [1])], {"controls": ["nones"]}, "unknown control 'nones'.*mean 'none'"),
    ([run("base", [1]), run("model", [1])], {"by": "verbs"}, "unknown stratum 'verbs'.*mean 'verb'"),
    ([run("base", [1]), run("model", [1])], {"by": "verb"}, "none of the 1 samples has a verb"),
    ([run("base", [1]), run("model", [1])], {"allow": ["samplers"]}, "unknown --allow 'samplers'.*mean 'sampler'"),
]  # fmt: skip


@pytest.mark.parametrize(("runs", "options", "message"), REFUSED)
def test_what_cannot_be_compared_is_said_in_one_line(runs, options, message):
    with pytest.raises(PaxionError, match=message) as error:
        compare(runs, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("fact", "other", "values"),
    [
        ("protocol", {"protocol": "paper"}, "default and paper"),
        ("manifest", {"manifest": {"hash": "m2", "split": "test"}}, "m1 and m2"),
        ("split", {"manifest": {"hash": "m1", "split": "val"}}, "test and val"),
        ("sampler", {"sampler": "endpoints"}, "midpoint and endpoints"),
        ("engine", {"engine": "PyAV 19"}, "PyAV 18 and PyAV 19"),
    ],
)
def test_runs_that_were_not_asked_the_same_are_refused_or_allowed_by_name(fact, other, values):
    base, model = run("base", [1, 0]), run("model", [1, 1], said=SAID | other)
    with pytest.raises(PaxionError, match=f"base and model differ in {fact}: {values}; .*--allow {fact}$"):
        compare([base, model])
    (allowed,) = compare([base, model], allow=[fact]).allowed
    assert (allowed.fact, allowed.run, f"{allowed.baseline} and {allowed.value}") == (fact, "model", values)
    # What does not differ needs no leave, and none is written down.
    assert compare([base, base], allow=[fact]).allowed == ()


def test_all_that_differs_is_in_one_line():
    model = run("model", [1, 1], said=SAID | {"sampler": "paper", "protocol": "paper"})
    with pytest.raises(PaxionError, match="protocol: default and paper; sampler: midpoint and paper"):
        compare([run("base", [1, 0]), model])
    with pytest.raises(PaxionError, match="differ in sampler"):
        compare([run("base", [1, 0]), model], allow=["protocol"])


def test_a_fact_that_one_run_does_not_say_is_noted():
    model = run("model", [1, 1], said={name: value for name, value in SAID.items() if name != "engine"})
    assert compare([run("base", [1, 0]), model]).notes == (
        "model does not say its engine: not checked against PyAV 18",
    )  # fmt: skip


def test_controls_that_were_drawn_by_other_seeds_are_said_to_be_so():
    base, model = (
        run(name, [1, 0], control="shuffled", said=SAID | {"seed": seed}) for seed, name in enumerate(("base", "model"))
    )
    assert compare([base, model], controls=("all",)).notes == (
        "shuffled: drawn by seed 0 for base and 1 for model: other frames or clips",
    )
    still = [replace(each, rows=[replace(row, control="none") for row in each.rows]) for each in (base, model)]
    assert compare(still).notes == ()


def test_models_of_one_name_are_told_apart():
    rows = [ROW, replace(ROW, model="text:best")]
    one, text = runs_of({}, rows, {}, "runs/a")
    assert (one.name, text.name) == ("clip", "text:best")
    two = replace(one, folder="runs/b")
    assert [each.name for each in named([one, two])] == ["a:clip", "b:clip"]
    assert [each.name for each in named([one, replace(two, folder="more/a")])] == ["runs/a:clip", "more/a:clip"]
    assert [each.name for each in named([one, one])] == ["runs/a:clip", "runs/a:clip #2"]
