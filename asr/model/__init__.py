"""The acoustic model: waveforms in, log-probabilities of tokens out, and the file that holds it."""
