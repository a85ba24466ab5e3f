"""Build a corpus: cut files into clips, process them in parallel or in shards, and write the manifest."""
