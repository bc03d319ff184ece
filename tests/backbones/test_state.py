"""Checkpoints are loaded exactly or refused in one line that names the file and the first offending key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from paxion.backbones.state import digest, digest_of, load_exactly, read_file, tensors, under
from paxion.records import PaxionError


class Code:
    def __reduce__(self):
        return os.system, ("touch was-run",)


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))


def refused(call, *arguments, **named) -> str:
    with pytest.raises(PaxionError) as caught:
        call(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_good_file_is_read_and_loaded(tmp_path: Path, suffix):
    path, model = tmp_path / f"weights{suffix}", small()
    (torch.save if suffix == ".pt" else save_file)(model.state_dict(), path)
    other = small()
    load_exactly(other.state_dict(), tensors(read_file(path), path), path)
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), other.parameters(), strict=True))


def test_half_precision_is_converted():
    model = small()
    load_exactly(model.state_dict(), {name: value.half() for name, value in small().state_dict().items()}, Path("w.pt"))
    assert model[0].weight.dtype == torch.float32


def test_a_nested_dictionary_and_a_prefix(tmp_path: Path):
    path = tmp_path / "w.pt"
    torch.save({"model": {"net.a": torch.ones(1), "other": torch.zeros(1)}, "epoch": 3}, path)
    content = read_file(path)
    assert under(tensors(content, path, within="model"), "net.") == {"a": torch.ones(1)}
    assert "missing key 'state_dict'" in refused(tensors, content, path, within="state_dict")
    assert "key 'model' holds dict, expected a tensor" in refused(tensors, content, path)


def test_code_is_named_and_not_run(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pt"
    torch.save({"model": {"weight": Code()}}, path)
    message = refused(read_file, path)
    assert str(path) in message and "system" in message and "was not run" in message
    # The advice can be followed as it stands.
    assert 'torch.save({"model": torch.load(F, weights_only=False)["model"]}, G)' in message
    assert "runs the code" in message
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("kept", [0, 7, 100, 900])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix, kept):
    path = tmp_path / f"cut{suffix}"
    (torch.save if suffix == ".pt" else save_file)({"weight": torch.randn(20, 20)}, path)
    path.write_bytes(path.read_bytes()[:kept])
    assert f"{path} is no checkpoint, or is truncated" in refused(read_file, path)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path):
    path = tmp_path / "notes.pt"
    path.write_text("these are not weights")
    assert "is no checkpoint" in refused(read_file, path)
    torch.save([torch.ones(1)], path)
    assert "holds list, expected a dictionary of tensors" in refused(read_file, path)
    assert "no checkpoint at" in refused(read_file, tmp_path / "none.pt")
    assert "no checkpoint at" in refused(read_file, tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s.pop("0.bias"), "missing key '0.bias', expected (2,)"),
        (lambda s: s.update({"0.bias": torch.ones(3)}), "key '0.bias' has shape (3,), expected (2,)"),
        (lambda s: s.update({"head.weight": torch.ones(3)}), "unexpected key 'head.weight'"),
        (
            lambda s: s.update({"1.bias": torch.tensor([1, float("nan")])}),
            "key '1.bias' holds numbers that",
        ),
        (lambda s: s.update({"1.bias": torch.full((2,), 1e300, dtype=torch.float64)}), "key '1.bias' holds numbers"),
        (lambda s: s.update({"1.bias": torch.ones(2).long()}), "key '1.bias' is of type int64, expected"),
        (lambda s: s.update({"1.bias": torch.ones(2).bool()}), "key '1.bias' is of type bool, expected"),
    ],
)
def test_what_does_not_fit_is_named_with_its_file(change, says):
    state = dict(small().state_dict())
    change(state)
    message = refused(load_exactly, small().state_dict(), state, Path("some/weights.pt"))
    assert says in message and message.startswith("some/weights.pt: ")


def test_nothing_is_written_when_anything_is_refused():
    model = small()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = {name: value + 1 for name, value in before.items()} | {"1.bias": torch.full((2,), torch.inf)}
    refused(load_exactly, model.state_dict(), state, Path("w.pt"))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


ODD = {
    "sparse": lambda: torch.eye(3).to_sparse(),
    "sparse_csr": lambda: torch.eye(3).to_sparse_csr(),
    "quantized": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    "meta": lambda: torch.ones(3, device="meta"),
    "expanded": lambda: torch.zeros(1).expand(10**15),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ODD)
def test_tensors_that_are_not_plain_and_dense_are_refused(kind):
    message = refused(tensors, {"layer.weight": ODD[kind]()}, Path("some/weights.pt"))
    assert message.startswith("some/weights.pt: key 'layer.weight' ") and kind in message


def test_keys_that_are_no_text_are_refused():
    for key in (3, None, ("a", 1), torch.ones(2, 2)):
        assert type(key).__name__ in refused(tensors, {key: torch.ones(1)}, Path("w.pt"))


def test_the_digest_of_weights_knows_names_shapes_and_numbers_but_not_precision_order_or_layout():
    weights = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(2)}
    same = {"b": torch.ones(2).half(), "a": torch.arange(6.0).view(2, 3).T.contiguous().T}
    others = (
        {"a": weights["a"], "c": weights["b"]},
        {"a": weights["a"].view(3, 2), "b": weights["b"]},
        {"a": weights["a"], "b": weights["b"] + 1e-6},
        {"a": weights["a"]},
    )
    assert len(digest_of(weights)) == 12 and digest_of(same) == digest_of(weights)
    assert len({digest_of(weights), *map(digest_of, others)}) == 5


def test_the_digest_tells_files_apart(tmp_path: Path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    assert len(digest(one)) == 12 and len({digest(one), digest(two), digest(one, two), digest(two, one)}) == 4
