"""Thinning brings a planted set to chance, keeps what is closed, and says when little is left."""

from collections import Counter
from dataclasses import replace

import pytest
from audit_sets import closed, planted

from paxion.actionbench.audit import audit
from paxion.actionbench.separability import evened_pairs
from paxion.actionbench.thinning import thin
from paxion.evaluation.text_scorers import count_pairs
from paxion.records import PaxionError


def told(n):
    """Pairs of which three in four say "up" in the caption and "down" in the foil, and one in four the opposite."""
    return [
        replace(
            s, caption=f"{s.caption} {'up' if i % 4 else 'down'}", antonym=f"{s.antonym} {'down' if i % 4 else 'up'}"
        )
        for i, s in enumerate(planted(n=n))
    ]


def test_a_planted_set_comes_to_chance():
    rows = told(200)
    assert audit(rows).separability.nested.low > 0.6
    lines = []
    found = thin(rows, tell=lines.append)
    nested = found.after.separability.nested
    assert nested.low <= 0.5 <= nested.high
    assert 60 < len(found.samples) < 150
    assert [s for s in rows if s in found.samples] == list(found.samples)
    assert (found.available, found.closed, found.open) == (200, 0, len(found.samples))
    assert len(lines) == found.rounds
    assert lines[0].startswith("round 1: dropped ")
    assert found.after.seed != 0


def test_the_closed_part_stays_in_equal_numbers():
    rows = closed(200)
    extra = [replace(s, id=s.id + "x", group=s.group + "x") for s in rows[:30]]
    found = thin(rows + extra + [replace(rows[0], id="none", antonym=None)])
    ways = Counter((s.caption, s.antonym) for s in found.samples)
    assert all(ways[foil, caption] == count for (caption, foil), count in ways.items())
    assert len(found.samples) == found.closed >= 200
    assert (found.available, found.open) == (230, 0)
    assert found.after.separability.nested.value == 0.5


def test_the_closed_part_is_known_when_luck_could_have_evened_it():
    """Two rows that are evened, and others seen twice one way: for all that counts can say, four tossed coins."""
    pair = closed(2)
    rows = pair + [s for i, s in enumerate(planted(n=100)) for s in (s, replace(s, id=f"again{i}", group=f"again{i}"))]
    pairs = count_pairs([(s.caption, s.antonym) for s in rows])
    assert not evened_pairs(pairs.caption_id, pairs.foil_id).any()
    result = audit(rows, closed={s.id for s in pair})
    assert result.separability.folds.evened.tolist() == [True] * 2 + [False] * 200


def test_what_is_closed_in_all_is_not_closed_in_a_split():
    rows = closed(60)
    train = [replace(s, split="train", group="t" + s.group) for s in rows if s.caption < s.antonym]
    test = [s for s in rows if s.caption > s.antonym]
    assert thin(train + test).closed == 0


def test_when_wording_gives_all_away_nothing_is_left():
    rows = [replace(s, antonym=s.antonym + " zzz") for s in planted(n=100)]
    found = thin(rows)
    assert (found.samples, found.after) == ((), None)
    assert found.warnings[0].startswith("nothing is left of 100 pairs")


def test_little_that_is_left_is_warned_of():
    found = thin(planted(n=100))
    assert f"{len(found.samples)} of 100 pairs are left" in found.warnings[-1]


def test_the_same_seed_keeps_the_same_pairs():
    rows = told(80)
    assert thin(rows, seed=1).samples == thin(rows, seed=1).samples


def test_a_foil_that_is_not_there():
    with pytest.raises(PaxionError, match="got no row with the foil replaced"):
        thin(planted(n=3), "replaced")
