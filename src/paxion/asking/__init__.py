"""Asking generative models: what they would say of a clip, which option they choose, whether they say yes or no."""
