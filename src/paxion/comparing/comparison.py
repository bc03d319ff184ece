"""What a comparison holds: plain data for the terminal, the files and the page."""

from __future__ import annotations

from dataclasses import dataclass

from paxion.comparing.agreement import Differing


@dataclass(frozen=True, slots=True)
class Paired:
    """A model and the baseline on the samples that both were asked. Scores and differences are fractions."""

    baseline: float
    """Mean credit of the baseline."""
    model: float
    """Mean credit of the model, on the same samples."""
    difference: float
    """Model minus baseline: above 0, the model is the better one."""
    low: float
    """Lower end of its 95 % interval, clustered by group."""
    high: float
    n: int
    """Common samples; of twins, clips and reversals."""
    groups: int
    p: float
    """Of the paired permutation test, by group: the one to trust."""
    holm: float
    """p after Holm, over the family (see `Comparison.family`; of strata: over the strata of their line)."""
    mcnemar: float
    """Exact p of McNemar's test, for samples that are independent: too small where groups have several."""
    detectable: float | None
    """The least true difference that clips like these show in 80 of 100 studies at 5 %; None: cannot be said."""


@dataclass(frozen=True, slots=True)
class StratumLine:
    """A line's difference on the samples that share a fact."""

    name: str
    paired: Paired


@dataclass(frozen=True, slots=True)
class Line:
    """One model against the baseline on one data set, task and control."""

    model: str
    """Name of the run that is compared with the baseline."""
    data: str
    task: str
    control: str
    metric: str
    """What a mean credit is: accuracy, or R@1 of retrieval."""
    paired: Paired
    only_baseline: tuple[str, ...]
    """Ids that the baseline alone was asked; they are in neither score."""
    only_model: tuple[str, ...]
    seeds: tuple[int, int]
    """How many seeds the baseline's and the model's credits are means over."""
    strata: tuple[StratumLine, ...] = ()
    """Worst first: where the model loses most, or gains least, on the baseline. Empty without `by`."""


@dataclass(frozen=True)
class Comparison:
    """What `compare` gives."""

    baseline: str
    models: tuple[str, ...]
    """The runs that are compared with it."""
    lines: tuple[Line, ...]
    """By data set, then model, task and control."""
    by: str | None
    seed: int
    """Of the permutation tests."""
    allowed: tuple[Differing, ...]
    """In which facts runs differ and were allowed to."""
    notes: tuple[str, ...]
    """What a reader must know, a line each: samples and tasks that one run alone has, facts that were not checked."""

    @property
    def family(self) -> str:
        """Which tests Holm's correction of the lines counts."""
        return (
            f"all {len(self.lines)} lines of this comparison" if len(self.lines) > 1 else "one line: nothing to correct"
        )
