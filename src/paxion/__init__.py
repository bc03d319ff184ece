"""paxion: find out whether a video-language model understands actions, and patch it if it does not.

Shapes are written with one legend everywhere: B clips, T frames, P tokens per frame, C token width, D joint width,
Q latents, K texts, L text tokens.
"""

__version__ = "0.1.0"
