"""What the dummies score under every control, beside what they must: the table of docs/dummies.md.

python benchmarks/dummies.py
"""

from __future__ import annotations

from paxion.evaluation.dummies import DUMMIES, Dummy, dummy_evaluation
from paxion.evaluation.dummy_levels import Levels
from paxion.records import TASKS
from paxion.video.controls import ANTONYM_SAID, MEASURED
from paxion.world.generate import WorldPlan, draw_split

SHOWN = {
    ("antonym", "accuracy"): "antonym",
    ("reversal", "accuracy"): "reversal",
    ("object", "accuracy"): "object",
    ("twins", "both_right"): "both right",
    ("twins", "same_answer"): "same answer",
    ("text_to_video", "R@1"): "text to video R@1",
    ("video_to_action", "R@1"): "video to action R@1",
    ("questions", "accuracy"): "questions",
}


def main() -> None:
    """Print a table for each dummy: measured, and in brackets expected where the two differ."""
    samples = [clip.sample for clip in draw_split(WorldPlan(0, 0, 60, 0, 16), "A", "test")]
    for name, seen in DUMMIES.items():
        print(f"\n**{name}** {seen}.\n")
        print("| | " + " | ".join(SHOWN.values()) + " |\n|---" + "|---:" * len(SHOWN) + "|")
        for control in MEASURED:
            tasks = ("reversal",) if control == ANTONYM_SAID else TASKS
            found = dummy_evaluation(name, samples, data="world-A", tasks=tasks, controls=(control,))
            values = {(score.task, score.metric): score.value for score in found.scores}
            levels = Levels(Dummy(name, samples), control)
            cells = []
            for asked in SHOWN:
                if asked not in values:
                    cells.append("")
                    continue
                expected, value = levels.value(*asked), values[asked]
                same = abs(expected - value) < 5e-4
                cells.append(f"{100 * value:.1f}" if same else f"{100 * value:.1f} ({100 * expected:.1f})")
            print(f"| {control} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
