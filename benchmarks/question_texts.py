"""How far do texts alone answer the world's questions? Learnt on train, chosen on val, tested in both domains.

    python benchmarks/question_texts.py --seed 0

Guessing gives 0.2; seeing that the fifth choice is the odd one out, 0.25. About a minute on one core.
"""

from __future__ import annotations

import argparse
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paxion.records import Sample
from paxion.world.generate import WorldPlan, draw_split


def grams(text: str) -> set[str]:
    """Words, and pairs of words that are next to each other or have one between them."""
    words = text.split()
    near = {f"{a} {b}" for a, b in pairwise(words)}
    return {*words, *near, *(f"{a} _ {b}" for a, b in zip(words, words[2:], strict=False))}


def alike(one: str, other: str) -> float:
    """The share of their words that two texts have in common."""
    a, b = set(one.split()), set(other.split())
    return len(a & b) / len(a | b)


def words_of(samples: list[Sample], index: dict[str, int]) -> Tensor:
    """Which grams each choice has: (N, 5, grams)."""
    found = torch.zeros(len(samples), 5, len(index))
    for row, sample in zip(found, samples, strict=True):
        for place, choice in enumerate(sample.choices or ()):
            row[place, [index[gram] for gram in grams(choice) if gram in index]] = 1
    return found


def likeness_of(samples: list[Sample]) -> Tensor:
    """How alike each choice is to the four others, and that beside the mean and the best of the five: (N, 5, 21)."""
    rows = []
    for sample in samples:
        choices = sample.choices or ()
        for place, choice in enumerate(choices):
            near = sorted((alike(choice, other) for i, other in enumerate(choices) if i != place), reverse=True)
            rows.append([*near, sum(near), len(choice.split()) / 10, near[0] - near[1]])
    found = torch.tensor(rows).view(len(samples), 5, -1)
    return torch.cat((found, found - found.mean(1, keepdim=True), found - found.amax(1, keepdim=True)), -1)


def answers(samples: list[Sample]) -> Tensor:
    """The places of the right choices, (N,)."""
    return torch.tensor([sample.answer for sample in samples])


def learnt(parts: dict[str, Tensor], right: dict[str, Tensor], hidden: int, decay: float) -> dict[str, float]:
    """The share answered right in each part, after the epoch that is best on val."""
    torch.manual_seed(0)
    width = parts["train"].shape[-1]
    layers = [nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 1)] if hidden else [nn.Linear(width, 1)]
    model = nn.Sequential(*layers)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=decay)
    best: dict[str, float] = {"val": 0.0}
    for _ in range(15):
        for batch in torch.randperm(len(right["train"])).split(64):
            loss = F.cross_entropy(model(parts["train"][batch]).squeeze(-1), right["train"][batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            found = {
                name: (model(rows).squeeze(-1).argmax(1) == right[name]).float().mean().item()
                for name, rows in parts.items()
            }
        best = max(best, found, key=lambda scores: scores["val"])
    return best


def main() -> None:
    """Print a line a scorer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    plan = WorldPlan(seed=parser.parse_args().seed)
    drawn = {"train": ("A", "train"), "val": ("A", "val"), "A": ("A", "test"), "B": ("B", "test")}
    samples = {name: [clip.sample for clip in draw_split(plan, *part)] for name, part in drawn.items()}
    right = {name: answers(rows) for name, rows in samples.items()}
    known = sorted({gram for sample in samples["train"] for choice in sample.choices or () for gram in grams(choice)})
    index = {gram: place for place, gram in enumerate(known)}
    words = {name: words_of(rows, index) for name, rows in samples.items()}
    likeness = {name: likeness_of(rows) for name, rows in samples.items()}
    both = {name: torch.cat((words[name], likeness[name]), -1) for name in samples}
    scored = {
        "words, linear": learnt(words, right, 0, 1e-2),
        "likeness, network": learnt(likeness, right, 32, 1e-2),
        "both, network": learnt(both, right, 64, 1e-1),
        "most alike": {
            name: (rows[..., 4].argmax(1) == right[name]).float().mean().item() for name, rows in likeness.items()
        },
    }
    for name, found in scored.items():
        print(f"{name:20}", *(f"{part} {found[part]:.3f}" for part in ("A", "B")))


if __name__ == "__main__":
    main()
