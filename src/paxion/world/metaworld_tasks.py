"""What the simulated robot does: pairs of opposite tasks, what is said of each, and which pairs are held out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """One scripted task of Meta-World."""

    name: str
    """Name of the environment without its version, and the action label."""
    verb: str
    """Main verb."""
    says: tuple[str, str, str]
    """Paraphrases, {x} is the object; the opposite task says the same in the same order."""
    expert: str = ""
    """Name of the scripted expert where it is not that of the environment."""


@dataclass(frozen=True)
class Pair:
    """Two tasks that undo each other, with one object."""

    thing: str
    """The object that is acted on."""
    there: Task
    back: Task
    beside: frozenset[str] = frozenset()
    """Things of other pairs that can be seen too: no foil may name them."""

    def ways(self) -> tuple[tuple[Task, Task], tuple[Task, Task]]:
        """Each task with its opposite."""
        return (self.there, self.back), (self.back, self.there)


_HANDLE = frozenset({"handle"})

PAIRS: tuple[Pair, ...] = (
    Pair(
        "door",
        Task("door-open", "open", ("the robot opens the {x}", "opening the {x}", "a robot arm pulls the {x} open")),
        Task("door-close", "close", ("the robot closes the {x}", "closing the {x}", "a robot arm pushes the {x} shut")),
        _HANDLE,
    ),
    Pair(
        "drawer",
        Task("drawer-open", "open", ("the robot opens the {x}", "opening the {x}", "a robot arm pulls the {x} open")),
        Task(
            "drawer-close", "close", ("the robot closes the {x}", "closing the {x}", "a robot arm pushes the {x} shut")
        ),
        _HANDLE,
    ),
    Pair(
        "window",
        Task("window-open", "open", ("the robot opens the {x}", "opening the {x}", "a robot arm slides the {x} open")),
        Task(
            "window-close", "close", ("the robot closes the {x}", "closing the {x}", "a robot arm slides the {x} shut")
        ),
        _HANDLE,
    ),
    Pair(
        "faucet",
        Task("faucet-open", "open", ("the robot opens the {x}", "opening the {x}", "a robot arm turns the {x} on")),
        Task("faucet-close", "close", ("the robot closes the {x}", "closing the {x}", "a robot arm turns the {x} off")),
        _HANDLE,
    ),
    Pair(
        "latch",
        Task("door-lock", "lock", ("the robot locks the {x}", "locking the {x}", "a robot arm turns the {x} to lock")),
        Task(
            "door-unlock",
            "unlock",
            ("the robot unlocks the {x}", "unlocking the {x}", "a robot arm turns the {x} to unlock"),
        ),
        frozenset({"door", "handle"}),
    ),
    Pair(
        "handle",
        Task(
            "handle-press",
            "press",
            ("the robot presses the {x} down", "pressing the {x} down", "a robot arm lowers the {x}"),
        ),
        Task("handle-pull", "pull", ("the robot pulls the {x} up", "pulling the {x} up", "a robot arm raises the {x}")),
    ),
    Pair(
        "plate",
        Task(
            "plate-slide",
            "slide",
            ("the robot slides the {x} into the rack", "sliding the {x} in", "a robot arm moves the {x} into its rack"),
        ),
        Task(
            "plate-slide-back",
            "slide",
            (
                "the robot slides the {x} out of the rack",
                "sliding the {x} out",
                "a robot arm moves the {x} out of its rack",
            ),
        ),
    ),
    Pair(
        "mug",
        Task(
            "coffee-push",
            "push",
            (
                "the robot pushes the {x} to the machine",
                "pushing the {x} towards the machine",
                "a robot arm brings the {x} to the machine",
            ),
        ),
        Task(
            "coffee-pull",
            "pull",
            (
                "the robot pulls the {x} from the machine",
                "pulling the {x} away from the machine",
                "a robot arm takes the {x} from the machine",
            ),
        ),
    ),
    Pair(
        "stick",
        Task(
            "stick-push",
            "push",
            (
                "the robot pushes the bottle with the {x}",
                "pushing the bottle away with the {x}",
                "a robot arm moves the bottle away with the {x}",
            ),
        ),
        Task(
            "stick-pull",
            "pull",
            (
                "the robot pulls the bottle with the {x}",
                "pulling the bottle closer with the {x}",
                "a robot arm moves the bottle closer with the {x}",
            ),
        ),
        _HANDLE,
    ),
    Pair(
        "peg",
        Task(
            "peg-insert-side",
            "insert",
            (
                "the robot inserts the {x} into the box",
                "plugging the {x} in",
                "a robot arm puts the {x} into its hole",
            ),
            "PegInsertionSide",
        ),
        Task(
            "peg-unplug-side",
            "unplug",
            (
                "the robot removes the {x} from the box",
                "unplugging the {x}",
                "a robot arm pulls the {x} out of its hole",
            ),
        ),
    ),
    Pair(
        "ring",
        Task(
            "assembly",
            "put",
            ("the robot puts the {x} on the post", "putting the {x} on", "a robot arm lowers the {x} onto the post"),
        ),
        Task(
            "disassemble",
            "take",
            ("the robot takes the {x} off the post", "taking the {x} off", "a robot arm lifts the {x} off the post"),
        ),
        _HANDLE,
    ),
)
"""The pairs, in the order in which they take turns."""

HELD_OUT = ("window", "stick", "peg")
"""Pairs that are never trained on. Of the window and the stick the verbs are known from other things (open and close,
push and pull); of the peg neither verb is."""
