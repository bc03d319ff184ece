"""An endpoint against a server on this machine: what is sent, what is asked again, what becomes of failures."""

from __future__ import annotations

import base64
import io
import json
import time

import numpy as np
import pytest
import torch
from PIL import Image

from paxion.asking.load import load_answerer
from paxion.asking.model import Failed
from paxion.backbones.endpoint import Endpoint
from paxion.cli import main
from paxion.manifest import read_manifest, video_path, write_manifest
from paxion.records import PaxionError
from paxion.results import read_results
from stub_endpoint import Stub, completion

SECRET = "sk-very-secret"


def clip(seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 255, (3, 20, 30, 3), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


def said(body: dict) -> str:
    (message,) = body["messages"]
    (text,) = [part["text"] for part in message["content"] if part["type"] == "text"]
    return text


def frames(body: dict) -> list[np.ndarray]:
    urls = [part["image_url"]["url"] for part in body["messages"][0]["content"] if part["type"] == "image_url"]
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))) for url in urls]


def test_what_is_sent(monkeypatch):
    monkeypatch.setenv("MY_KEY", SECRET)
    with Stub(lambda body, _: completion(" Yes. ")) as stub:
        model = load_answerer(f"endpoint:{stub.url},model=tiny,frames=3,key_env=MY_KEY")
        assert model.answer([clip()], ["Does it fall?"], 7) == ["Yes."]
        assert model.answer([None], ["Does it fall?"]) == ["Yes."]
    body, blind = stub.requests
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("tiny", 0, 7)
    assert said(body) == "Does it fall?" and stub.paths == ["/v1/chat/completions"] * 2
    assert all(np.array_equal(one, other) for one, other in zip(frames(body), clip().numpy(), strict=True))
    assert frames(blind) == []
    assert stub.headers[0]["Authorization"] == f"Bearer {SECRET}"
    assert SECRET not in json.dumps(body) + repr(model) + model.name + model.revision
    assert (model.name, model.frames, model.scores_text) == ("tiny", 3, False)
    assert isinstance(model.likelihood([None], ["a"], ["b"])[0], Failed)


def test_the_order_is_kept_however_the_answers_come():
    def slowly(body, _):
        number = int(said(body))
        time.sleep(0.02 * (5 - number))
        return completion(str(number))

    with Stub(slowly) as stub:
        model = Endpoint(stub.url, "m", parallel=6)
        assert model.answer([None] * 6, [str(number) for number in range(6)]) == [str(number) for number in range(6)]


def test_what_passes_is_asked_again():
    replies = [(429, {"Retry-After": "0.2"}, b"slow down"), (503, {}, b""), completion("B")]
    with Stub(lambda _, number: replies[number]) as stub:
        began = time.perf_counter()
        assert Endpoint(stub.url, "m", pause=0.01).answer([None], ["?"]) == ["B"]
        assert len(stub.requests) == 3 and time.perf_counter() - began > 0.2


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ((500, {}, b"broken for good"), "status 500: broken for good, after 3 requests"),
        ((401, {}, f"key {SECRET} is wrong".encode()), "status 401: key *** is wrong"),
        ((200, {}, b"<html>"), "the server's answer is no chat completion: <html>"),
        ((200, {}, b'{"choices": []}'), "the server's answer is no chat completion"),
        (completion(None), "the server's answer has no text"),
    ],
)
def test_what_fails_for_good_is_a_failure_of_one_sample(reply, reason):
    def half(body, _):
        return reply if said(body) == "bad" else completion("A")

    with Stub(half) as stub:
        model = Endpoint(stub.url, "m", key=SECRET, retries=2, pause=0.01)
        found = model.answer([None, clip(), None], ["good", "bad", "good"])
    assert found[0] == found[2] == "A"
    assert isinstance(found[1], Failed) and reason in found[1].reason and SECRET not in found[1].reason


def test_a_server_that_does_not_answer():
    def never(_, __):
        time.sleep(1.5)
        return completion("late")

    with Stub(never) as stub:
        (found,) = Endpoint(stub.url, "m", timeout=0.3, retries=1, pause=0.01).answer([None], ["?"])
    assert found == Failed("no answer in 0.3 s, after 2 requests")
    (gone,) = Endpoint("http://127.0.0.1:9/v1", "m", retries=0).answer([None], ["?"])
    assert "no connection" in gone.reason
    (wrong,) = Endpoint("http://127.0.0.1:9/v1", "m").answer([clip().float()], ["?"])
    assert "expected (T, H, W, 3) uint8" in wrong.reason


def test_names_that_cannot_be_meant():
    for spec, reason in (
        ("localhost:8000,model=m", "got the URL 'localhost:8000'"),
        ("http://x/v1", "got no model for http://x/v1"),
        ("http://x/v1,modl=m", "unknown option of an endpoint 'modl' (did you mean 'model'?)"),
        ("http://x/v1,model=m,frames=0", "got frames=0"),
        ("http://x/v1,model=m,key_env=NO_SUCH_KEY_HERE", "no such environment variable"),
        (f"http://me:{SECRET}@x/v1,model=m", "got a URL with a user"),
    ):
        with pytest.raises(PaxionError) as caught:
            load_answerer(f"endpoint:{spec}")
        assert reason in str(caught.value) and SECRET not in str(caught.value)


def test_ask_asks_an_endpoint(tiny_manifest, tmp_path, monkeypatch, capsys):
    """A server that always says A, or yes, and fails on one clip in five."""
    from dataclasses import replace

    monkeypatch.setenv("OPENAI_API_KEY", SECRET)

    def constant(body, number):
        text = said(body)
        if "unlucky" in text:
            return 400, {}, b"no"
        return completion("yes" if "yes or no" in text.lower() else "A")

    samples = [s for s in read_manifest(tiny_manifest) if s.split == "test" and s.antonym][:5]
    samples = [replace(s, video=str(video_path(tiny_manifest, s))) for s in samples]
    samples[4] = replace(samples[4], caption="an unlucky clip")
    write_manifest(tmp_path / "m.jsonl", samples)
    out = tmp_path / "run"
    with Stub(constant) as stub:
        name = f"endpoint:{stub.url},model=always-a,frames=2"
        tasks = ["--tasks", "antonym", "twins", "--how", "choice", "yes-no"]
        given = ["ask", str(tmp_path / "m.jsonl"), "--models", name, *tasks, "--out", str(out)]
        assert main([*given, "--cache", str(tmp_path / "c")]) == 0
    values = {(s.model, s.task, s.metric): s.value for s in read_results(out).scores}
    assert values["always-a [choice]", "antonym", "accuracy"] == 0.5
    assert values["always-a [choice]", "antonym", "both_orders"] == 0
    assert values["always-a [choice]", "antonym", "answered_first"] == 1
    assert values["always-a [yes-no]", "twins", "same_answer"] == 1
    told = json.dumps(read_results(out).provenance)
    assert "status 400" in told and SECRET not in told
    everything = "".join(file.read_text(errors="replace") for file in tmp_path.rglob("*.json*"))
    assert SECRET not in everything + "".join(capsys.readouterr())
