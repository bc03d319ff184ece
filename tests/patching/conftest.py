"""Training rows of the tiny world, and a patcher trained on them. Read only."""

from __future__ import annotations

import pytest
from trainings import SHORT

from paxion.patching.data import TrainingData, training_data
from paxion.patching.model import PatchedModel
from paxion.patching.train import train


@pytest.fixture(scope="session")
def data(tiny_backbone, tiny_features, tiny_samples) -> TrainingData:
    samples = [sample for sample in tiny_samples if sample.source == "world-A"][:48]
    return training_data(tiny_backbone, tiny_features.store, tiny_features.keys, samples)


@pytest.fixture(scope="session")
def trained(tiny_backbone, data, tmp_path_factory) -> PatchedModel:
    return train(SHORT, tiny_backbone, data, tmp_path_factory.mktemp("trained"))
