"""The embedded world: captioned clips of moving shapes, rendered by signed-distance functions."""
