"""Generative models of four families, tiny and random: likelihoods by hand, batches, blind prompts, failures."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from torch import Tensor

from paxion.asking.load import load_answerer
from paxion.asking.model import Failed, Likelihood
from paxion.backbones.generative import GenerativeModel
from paxion.records import PaxionError
from tiny_generative import FAMILIES


@pytest.fixture(scope="module", params=FAMILIES)
def model(request, tmp_path_factory) -> GenerativeModel:
    folder = FAMILIES[request.param](tmp_path_factory.mktemp(request.param))
    return load_answerer(f"hf:{folder},frames=3")


def clip(seed: int, frames: int = 3) -> Tensor:
    return torch.randint(0, 255, (frames, 28, 28, 3), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


CLIPS = [clip(0), clip(1), None, clip(0).flip(0)]
PROMPTS = ["What happens?", "Does a star fall? Answer yes or no.", "What happens?", "What happens?"]
SAID = ["a star falls", "yes", "a star falls and rises", "a star falls"]


def plain(model: GenerativeModel, video: Tensor | None, prompt: str, said: str) -> float:
    """One by one, without any padding: the log-softmax of all places, added up token by token."""
    text = model._prompt(0 if video is None else len(video), prompt)
    pictures = {} if video is None else {"images": [[Image.fromarray(frame.numpy()) for frame in video]]}
    given = dict(model.processor(text=[text], return_tensors="pt", **pictures))
    ids = model.processor.tokenizer(said, add_special_tokens=False)["input_ids"]
    begin = given["input_ids"].shape[1]
    for name, value in (
        ("input_ids", torch.tensor([ids])),
        ("attention_mask", torch.ones(1, len(ids), dtype=torch.long)),
    ):
        given[name] = torch.cat([given[name], value], 1)
    if "mm_token_type_ids" in given:
        given["mm_token_type_ids"] = torch.cat(
            [given["mm_token_type_ids"], torch.zeros(1, len(ids), dtype=torch.long)], 1
        )
    with torch.inference_mode():
        logits = model.model(**given).logits[0].double()
    return sum(float(logits[begin - 1 + i].log_softmax(-1)[token]) for i, token in enumerate(ids))


def test_likelihoods_are_those_by_hand_in_any_batch(model):
    together = model.likelihood(CLIPS, PROMPTS, SAID)
    for asked, found in zip(zip(CLIPS, PROMPTS, SAID, strict=True), together, strict=True):
        (alone,) = model.likelihood(*([one] for one in asked))
        assert found.total == pytest.approx(plain(model, *asked), abs=1e-4)
        assert found.total == pytest.approx(alone.total, abs=1e-4) and found.tokens == alone.tokens
        assert found.tokens == len(model.processor.tokenizer(asked[2], add_special_tokens=False)["input_ids"])


def test_what_is_shown_matters_and_its_order(model):
    clips = [clip(0), clip(1), clip(0).flip(0), None]
    found = model.likelihood(clips, ["What happens?"] * 4, ["a star falls"] * 4)
    totals = [one.total for one in found]
    assert len({round(total, 5) for total in totals}) == 4


def test_answers_do_not_depend_on_the_batch(model):
    together = model.answer(CLIPS, PROMPTS, 6)
    assert together == [model.answer([video], [prompt], 6)[0] for video, prompt in zip(CLIPS, PROMPTS, strict=True)]
    assert all(isinstance(said, str) for said in together) and model.answer(CLIPS, PROMPTS, 6) == together


def test_a_sample_that_fails_does_not_end_the_run(model):
    wrong = [clip(0), torch.zeros(0, 28, 28, 3, dtype=torch.uint8), clip(1).float(), clip(1)]
    found = model.likelihood(wrong, ["What happens?"] * 4, ["a star falls", "it", "it", ""])
    assert isinstance(found[0], Likelihood)
    assert "expected (T, H, W, 3) uint8" in found[1].reason and "torch.float32" in found[2].reason
    assert isinstance(found[3], Failed) and "which has no tokens" in found[3].reason
    (right,) = model.likelihood([clip(0)], ["What happens?"], ["a star falls"])
    assert found[0].total == pytest.approx(right.total, abs=1e-4)


def test_a_model_that_gives_no_number_has_failed(model):
    head = model.model.get_output_embeddings().weight
    kept = head.detach().clone()
    with torch.no_grad():
        head.fill_(torch.nan)
    try:
        (found,) = model.likelihood([clip(0)], ["What happens?"], ["a star falls"])
    finally:
        with torch.no_grad():
            head.copy_(kept)
    assert isinstance(found, Failed) and "no finite likelihood" in found.reason


def test_names_say_what_they_mean(tmp_path):
    folder = FAMILIES["llava"](tmp_path / "mine")
    model = load_answerer(f"hf:{folder},frames=5,dtype=bfloat16")
    assert (model.name, model.frames) == ("mine", 5) and model.revision.endswith("-bf16")
    (found,) = model.likelihood([clip(0)], ["What happens?"], ["a star falls"])
    assert isinstance(found, Likelihood)
    for name, said in (
        ("qwen", "unknown generative model 'qwen'"),
        (f"hf:{folder},frams=5", "unknown option of a hf: model 'frams' (did you mean 'frames'?)"),
        (f"hf:{folder},frames=0", "got frames=0"),
        (f"hf:{folder},dtype=int8", "got dtype 'int8'"),
        (f"hf:{tmp_path / 'none'}", "no folder at"),
    ):
        with pytest.raises(PaxionError) as caught:
            load_answerer(name)
        assert said in str(caught.value) and "\n" not in str(caught.value)


def test_weights_that_are_not_all_there_are_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = FAMILIES["llava"](tmp_path / "mine")
    weights = load_file(folder / "model.safetensors")
    weights.pop(sorted(weights)[0])
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(PaxionError, match="1 keys are missing"):
        load_answerer(f"hf:{folder}")
