"""One module a corpus: each turns recordings (or, for `digits`, a speech synthesiser) into manifests."""
