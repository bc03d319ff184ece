"""Writing a manifest as the files of published data sets, with their videos where those have them."""
