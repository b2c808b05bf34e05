"""`asr prepare CORPUS`: a corpus as train.jsonl, valid.jsonl, test.jsonl and dataset.yaml; a subcommand for each."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.errors import AsrError
from asr.wording import how_long

if TYPE_CHECKING:  # what reads audio is imported where a command runs: `asr --help` must not need numpy
    from asr.corpora.download import Archive
    from asr.data.manifest import Utterance

    Splits = Mapping[str, Sequence[Utterance]]

app = typer.Typer(
    help="Turn a corpus into manifests of its splits.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Source = Annotated[Path, typer.Option("--source", metavar="DIR", help="Folder of the corpus.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the manifests and dataset.yaml.")]
Shards = Annotated[
    bool, typer.Option("--shards", help="Pack the recordings into tar archives, for corpora of very many files.")
]
ShardMb = Annotated[float, typer.Option("--shard-mb", min=0.01, help="Approximate size of a shard, in megabytes.")]
SHARD_MB = 500.0
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace existing splits, even if they differ; models trained on the old ones must be retrained.",
    ),
]
Download = Annotated[bool, typer.Option("--download", help="Download the corpus into --source first, if missing.")]
Subsets = list[str] | None


class SpeakerFrom(StrEnum):
    """Where `asr prepare own` finds the speaker of a recording."""

    COLUMN = "column"
    FOLDER = "folder"


class Shared(StrEnum):
    """What splits may share on purpose."""

    SPEAKER = "speaker"
    TEXT = "text"


@app.command("digits")
def digits(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the recordings and manifests.")],
    seed: Annotated[int, typer.Option(help="Random seed of the corpus.")] = 0,
    utterances: Annotated[int, typer.Option(min=1, help="Utterances per voice.")] = 24,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes; default: all cores.")] = None,
    shards: Shards = False,
    shard_mb: ShardMb = SHARD_MB,
    overwrite: Overwrite = False,
) -> None:
    """Make the built-in corpus of synthetic speech.

    Digits and commands, spoken by espeak-ng in 180 voices. Needs no download, only pip install espeakng-loader. The
    same options always give the same bytes.

    Example: asr prepare digits --out data/digits
    """
    from asr.cli.progress import progress
    from asr.corpora.digits import prepare

    with progress() as advance:
        splits = prepare(
            out,
            utterances=utterances,
            seed=seed,
            workers=workers,
            shard_mb=shard_mb if shards else None,
            on_progress=partial(advance, "voices"),
            overwrite=overwrite,
        )
    _show(splits, out, "digits")


@app.command("synth")
def synth(
    text: Annotated[list[Path], typer.Option("--text", metavar="FILE", help="UTF-8 text to speak; repeatable.")],
    language: Annotated[
        list[str], typer.Option("--language", metavar="CODE", help="espeak-ng language code; repeatable, for accents.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the recordings and manifests.")],
    hours: Annotated[
        float | None,
        typer.Option(
            min=0.01, max=10000, help="Hours of training speech; default: each sentence once, at most 10 hours."
        ),
    ] = None,
    voices: Annotated[int, typer.Option(min=1, help="Voices in the training set.")] = 60,
    numbers: Annotated[bool, typer.Option("--numbers", help="Keep sentences that contain digits.")] = False,
    seed: Annotated[int, typer.Option(help="Random seed of the corpus.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes; default: all cores.")] = None,
    shards: Shards = False,
    shard_mb: ShardMb = SHARD_MB,
    overwrite: Overwrite = False,
) -> None:
    """Make a corpus of synthetic speech from a text.

    In any of a hundred languages, for pre-training: train on it to learn how the language is written, then fine-tune on
    real recordings with train.init_from. Validation and test have sentences and voices of their own. Needs pip install
    espeakng-loader; espeak-ng --voices lists the languages. The same options always give the same bytes.

    Example: asr prepare synth --text novel.txt --language el --out data/greek
    """
    from asr.cli.progress import progress
    from asr.corpora.synth import VOICES, prepare

    with progress() as advance:
        splits = prepare(
            out,
            texts=text,
            languages=language,
            hours=hours,
            voices=dict(VOICES) | {"train": voices},
            numbers=numbers,
            seed=seed,
            workers=workers,
            shard_mb=shard_mb if shards else None,
            say=lambda line: print(line, file=sys.stderr),
            on_progress=partial(advance, "voices"),
            overwrite=overwrite,
        )
    _show(splits, out, "own")


@app.command("fsdd")
def fsdd(
    source: Source,
    out: Out,
    hold_out: Annotated[
        str | None, typer.Option(metavar="SPEAKER", help="Test on all takes of this speaker, who is in no other split.")
    ] = None,
    download: Download = False,
    shards: Shards = False,
    shard_mb: ShardMb = SHARD_MB,
    overwrite: Overwrite = False,
) -> None:
    """Prepare the Free Spoken Digit Dataset.

    Recordings are files such as 7_jackson_32.wav. Default is the official split: takes 0-4 are test, 5-9 validation,
    the others training; all splits share the six speakers. With --hold-out, that speaker is the test set, takes 5-9 of
    the other five are validation, the rest training.

    Example: asr prepare fsdd --source fsdd --out data/fsdd

    Example: asr prepare fsdd --source fsdd --out data/fsdd-theo --hold-out theo
    """
    from asr.corpora.fsdd import ARCHIVE, prepare

    if download:
        _fetch([ARCHIVE], source)
    _run(prepare, out, "fsdd", shard_mb if shards else None, source=source, hold_out=hold_out, overwrite=overwrite)


@app.command("librispeech")
def librispeech(
    source: Source,
    out: Out,
    train: Annotated[Subsets, typer.Option(metavar="SUBSET", help="Repeatable; default: train-clean-100.")] = None,
    valid: Annotated[Subsets, typer.Option(metavar="SUBSET", help="Repeatable; default: dev-clean.")] = None,
    test: Annotated[Subsets, typer.Option(metavar="SUBSET", help="Repeatable; default: test-clean.")] = None,
    ids: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Instead of subsets: train.txt, valid.txt and test.txt, one id per line."),
    ] = None,
    download: Download = False,
    shards: Shards = False,
    shard_mb: ShardMb = SHARD_MB,
    overwrite: Overwrite = False,
) -> None:
    """Prepare LibriSpeech, or a corpus in its layout.

    The layout is SUBSET/SPEAKER/CHAPTER/ with a .trans.txt and the audio, in FLAC or another format. Each split
    consists of whole subsets, or of the utterances listed in --ids.

    Example: asr prepare librispeech --source LibriSpeech --out data/libri

    Example: asr prepare librispeech --source mini --ids mini/splits --out data/mini
    """
    from asr.corpora.librispeech import archives, corpus_folder, prepare

    subsets = {split: names for split, names in (("train", train), ("valid", valid), ("test", test)) if names}
    if download and ids:
        raise typer.BadParameter(
            "cannot tell which subsets hold the ids; download them first, without --ids", param_hint="--download"
        )
    if download:
        _fetch(archives(subsets), corpus_folder(source))
    packed = shard_mb if shards else None
    _run(prepare, out, "librispeech", packed, source=source, subsets=subsets, ids=ids, overwrite=overwrite)


@app.command("an4")
def an4(
    source: Source,
    out: Out,
    valid: Annotated[float, typer.Option(help="Share of the training utterances to use for validation.")] = 0.1,
    partial: Annotated[bool, typer.Option("--partial", help="Accept a corpus with missing recordings.")] = False,
    download: Download = False,
    shards: Shards = False,
    shard_mb: ShardMb = SHARD_MB,
    overwrite: Overwrite = False,
) -> None:
    """Prepare CMU's AN4, also known as Census.

    Any of its archives works, once unpacked: SPHERE, or the raw ones, whose audio is written to OUT/pieces as FLAC. The
    test set is CMU's own. Some training speakers, always the same, are set aside for validation.

    Example: asr prepare an4 --source an4 --out data/an4

    Example: asr prepare an4 --source an4 --out data/an4 --download
    """
    from asr.corpora.an4 import ARCHIVE, corpus_folder, prepare

    if download:
        _fetch([ARCHIVE], corpus_folder(source))
    packed = shard_mb if shards else None
    _run(prepare, out, "an4", packed, source=source, valid=valid, partial=partial, overwrite=overwrite)


@app.command("commonvoice")
def commonvoice(
    source: Source,
    out: Out,
    shards: Shards = False,
    shard_mb: ShardMb = SHARD_MB,
    overwrite: Overwrite = False,
) -> None:
    """Prepare one language of Mozilla's Common Voice.

    The folder holds clips/ and the splits train.tsv, dev.tsv and test.tsv. Age, gender, accents and variant are kept
    in the manifests where speakers gave them, for asr evaluate --by.

    Example: asr prepare commonvoice --source cv-corpus-17.0-2024-03-15/cy --out data/cy
    """
    from asr.corpora.commonvoice import prepare

    _run(prepare, out, "own", shard_mb if shards else None, source=source, overwrite=overwrite)


@app.command("own")
def own(
    source: Source,
    out: Out,
    table: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[SPLIT=]PATH",
            help="Source of the texts, instead of a .txt next to each recording: a .csv or .tsv table, a Kaldi data "
            "folder, or a NeMo manifest (.json, .jsonl). Repeatable with split names, such as train=PATH.",
        ),
    ] = None,
    speaker_from: Annotated[
        SpeakerFrom, typer.Option(help="Take speakers from the table's column, or from the recordings' folders.")
    ] = SpeakerFrom.COLUMN,
    valid: Annotated[float, typer.Option(help="Share of the audio for validation.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of the audio for testing.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Random seed of the splits.")] = 0,
    shared: Annotated[
        list[Shared] | None, typer.Option(help="Allow the table's own splits to share speakers or texts; repeatable.")
    ] = None,
    dataset_name: Annotated[str, typer.Option(help="Name in dataset.yaml; default: the source folder's.")] = "",
    license: Annotated[str, typer.Option(help="License in dataset.yaml.")] = "",
    shards: Shards = False,
    shard_mb: ShardMb = SHARD_MB,
    overwrite: Overwrite = False,
) -> None:
    """Prepare your own recordings.

    Give either audio files, each with a .txt of the same name next to it, or a table with the columns audio (or path,
    file), text (or transcript, sentence) and, where known, speaker (or client_id), id and split. A table of two
    columns, path and text, needs no header. Paths in it are relative to --source. For segments of longer recordings,
    add the columns offset and duration, or start and end, in seconds; segments are cut out into OUT/pieces.

    A split column decides the splits. Without one, they are made by speaker, if all speakers are known and there are
    three or more: no speaker is in two splits. With one or two speakers, or unknown ones, they are made by text: no
    text is in two splits, and results say nothing about unseen speakers. With few speakers, split sizes are only
    approximate. Run again with more recordings, it keeps earlier ones in their splits.

    Example: asr prepare own --source recordings --out data/own

    Example: asr prepare own --source recordings --table transcripts.csv --out data/own

    Example: asr prepare own --source s5 --table train=train --table valid=dev --table test=test --out data/own
    """
    from asr.corpora.listing import tables_by_split
    from asr.corpora.own import doubts, prepare
    from asr.data.manifest import Dataset

    _run(
        prepare,
        out,
        "own",
        shard_mb if shards else None,
        source=source,
        table=tables_by_split(table) if table else None,
        speaker_from_folder=speaker_from is SpeakerFrom.FOLDER,
        valid=valid,
        test=test,
        seed=seed,
        dataset=Dataset(dataset_name, license, shared=tuple(kind.value for kind in shared or ())),
        doubts=doubts,
        overwrite=overwrite,
    )


def _run(
    prepare: Callable[..., Splits],
    out: Path,
    conf: str,
    shard_mb: float | None,
    doubts: Callable[[Splits, Sequence[str]], list[str]] = lambda *_: [],
    **options: object,
) -> None:
    """Prepare a corpus: show the progress, name each recording that is left out, and say what was made of the rest."""
    from asr.cli.progress import progress
    from asr.corpora.common import changes_since, earlier_division, few
    from asr.corpora.shards import pack_corpus
    from asr.data.manifest import read_dataset

    left_out = 0
    before = [] if options.get("overwrite") else earlier_division(out)

    def name(error: AsrError) -> None:
        nonlocal left_out
        left_out += 1
        print(f"asr: left out: {error}", file=sys.stderr)

    with progress() as advance:
        splits = prepare(out=out, on_error=name, on_progress=partial(advance, "recordings"), **options)
        new, gone = changes_since(before, splits)
        if shard_mb:
            splits = pack_corpus(out, splits, shard_mb, partial(advance, "shards"))
    if before and (new or "seed" in options):  # a seed, and the shares beside it, are for new recordings only
        stay = f"{len(before) - len(gone):,} recordings stay in their splits"
        more = f"{len(new):,} are new: {few(new)}" if new else "none is new; --overwrite makes new splits"
        print(f"asr: {stay}, {more}", file=sys.stderr)
    if gone:
        print(f"asr: {len(gone):,} of the {len(before):,} earlier recordings are gone: {few(gone)}", file=sys.stderr)
    _show(splits, out, conf, doubts(splits, read_dataset(out).shared))
    if left_out:
        print(f"asr: {left_out} left out (listed above); the others are prepared", file=sys.stderr)
        raise typer.Exit(1)


def _fetch(archives: Sequence[Archive], folder: Path) -> None:
    """Download what a corpus lacks, with its progress."""
    from asr.cli.progress import progress
    from asr.corpora.download import fetch

    with progress() as advance:
        fetch(archives, folder, advance)


def _show(splits: Splits, out: Path, conf: str, doubts: Sequence[str] = ()) -> None:
    """What was written, what is doubtful about it, what the splits share, and the commands that come next."""
    from asr.data.manifest import read_dataset

    print(f"{'split':<8}{'utterances':>12}{'audio':>11}{'speakers':>10}")
    for name, utterances in splits.items():
        speakers = {utterance.speaker for utterance in utterances}
        known = "unknown" if None in speakers else f"{len(speakers):,}"
        audio = how_long(sum(utterance.duration for utterance in utterances))
        print(f"{name:<8}{len(utterances):>12,}{audio:>11}{known:>10}")
    if any(utterance.speaker is None for utterances in splits.values() for utterance in utterances):
        print("\nSome speakers are unknown: splits may share speakers, and results may not hold for unseen ones.")
    for doubt in doubts:
        print(f"\nwarning: {doubt}")
    if shared := read_dataset(out).shared:
        declared = f"this is declared in {out / 'dataset.yaml'}, and reports will say so."
        print(f"\nThe splits share {' and '.join(shared)}; {declared}")
    manifests = [str(out / f"{name}.jsonl") for name in splits]
    check = shlex.join(["asr", "check", *manifests, "--conf", conf])
    beside = out.name == "data" and out.parent.name  # as recipes have it: runs/greek/data, runs/greek/run
    run = out.parent / "run" if beside else Path("runs") / out.resolve().name
    train = shlex.join(["asr", "train", conf, "--data", str(out), "--out", str(run)])
    print(f"\nnext:  {check}\n       {train}")
