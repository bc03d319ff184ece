"""paxion: probe, patch and fuse action knowledge in video-language models."""
