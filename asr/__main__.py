"""`python -m asr` is the same program as `asr`, so that `torchrun -m asr train ...` works."""

from asr.cli.main import main

main()
