"""pyctcdecode over saved log-probabilities; run by `decoders.py` with a Python that has it (it wants numpy < 2).

    PYTHON benchmarks/pyctcdecode_peer.py LOG_PROBS.npz TOKENS.json BEAM PRUNE [ARPA WEIGHT BONUS]

Prints as JSON the seconds and the texts. PRUNE is "defaults", or the least log-probabilities of tokens and of prefixes
below the best one, as in -12,-20.
"""

from __future__ import annotations

import json
import logging
import statistics
import sys
import time
from pathlib import Path

import numpy as np


def main() -> None:
    from pyctcdecode import build_ctcdecoder

    logging.disable(logging.WARNING)
    file, names, beam, prune, *language = sys.argv[1:]
    labels = ["" if number == 0 else token for number, token in enumerate(json.loads(Path(names).read_text()))]
    settings = (
        {}
        if prune == "defaults"
        else dict(zip(("token_min_logp", "beam_prune_logp"), map(float, prune.split(",")), strict=True))
    )
    model = (
        {"kenlm_model_path": language[0], "alpha": float(language[1]), "beta": float(language[2])} if language else {}
    )
    decoder = build_ctcdecoder(labels, **model)
    archive = np.load(file)
    rows = [archive[key] for key in archive.files]
    decoder.decode(rows[0], beam_width=int(beam), **settings)
    times: list[float] = []
    for _ in range(3):  # as in `decoders.py`
        start = time.process_time()
        texts = [decoder.decode(row, beam_width=int(beam), **settings) for row in rows]
        times.append(time.process_time() - start)
    print(json.dumps({"seconds": statistics.median(times), "texts": texts}))


if __name__ == "__main__":
    main()
