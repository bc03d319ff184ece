"""Writing clips to video files through PyAV."""

from __future__ import annotations

from pathlib import Path

import av
from torch import Tensor

from paxion.files import replacing


def write_clip(path: Path, frames: Tensor, fps: int = 8, quality: int = 18) -> None:
    """Write uint8 RGB frames (T, H, W, 3) as H.264 in the container that `path` ends in; H and W must be even.

    quality is x264's quantiser: 0 is lossless, 51 the worst. All frames share it and each is coded by itself: a codec
    that predicts from the frame before leaves traces that tell which way the clip ran. One thread, so that the same
    frames give the same file. Raises PaxionError when the path cannot be written.
    """
    with replacing(path) as temporary, av.open(str(temporary), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "ultrafast", "qp": str(quality), "g": "1", "threads": "1"}
        for number, pixels in enumerate(frames.cpu().numpy()):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
