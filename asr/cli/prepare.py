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
    help="Turn a corpus into train.jsonl, valid.jsonl, test.jsonl and dataset.yaml.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Source = Annotated[Path, typer.Option("--source", metavar="DIR", help="Folder of the corpus.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the manifests and dataset.yaml.")]
Shards = Annotated[
    bool, typer.Option("--shards", help="Copy the recordings into tar archives, for corpora of very many files.")
]
ShardMb = Annotated[float, typer.Option("--shard-mb", min=0.01, help="About the size of a shard, in megabytes.")]
SHARD_MB = 500.0
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace splits that are there already, even by other ones; then train again."),
]
Download = Annotated[bool, typer.Option("--download", help="First fetch into --source what is not there yet.")]
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
    seed: Annotated[int, typer.Option(help="Another seed is another corpus.")] = 0,
    utterances: Annotated[int, typer.Option(min=1, help="Utterances of each voice.")] = 24,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; the number of cores by default.")] = None,
    shards: Shards = False,
    shard_mb: ShardMb = SHARD_MB,
    overwrite: Overwrite = False,
) -> None:
    """Make the embedded corpus of synthetic voices.

    Digits and commands, spoken by espeak-ng in 180 voices. Needs no download, only pip install espeakng-loader. The
    same options make the same bytes.

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
    text: Annotated[list[Path], typer.Option("--text", metavar="FILE", help="UTF-8 text to be read out; repeatable.")],
    language: Annotated[
        list[str], typer.Option("--language", metavar="CODE", help="espeak-ng's code; repeatable, for accents.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the recordings and manifests.")],
    hours: Annotated[
        float | None,
        typer.Option(min=0.01, max=10000, help="Of training; else each sentence once, 10 at most."),
    ] = None,
    voices: Annotated[int, typer.Option(min=1, help="Voices that speak the training set.")] = 60,
    numbers: Annotated[bool, typer.Option("--numbers", help="Keep sentences with figures in them.")] = False,
    seed: Annotated[int, typer.Option(help="Another seed is another corpus.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; the number of cores by default.")] = None,
    shards: Shards = False,
    shard_mb: ShardMb = SHARD_MB,
    overwrite: Overwrite = False,
) -> None:
    """Make a corpus of synthetic speech from a text, in a hundred languages.

    To teach a model how a language is written before it hears people: train on this, then go on with recordings by
    train.init_from. Validation and test have sentences and voices of their own. Needs pip install espeakng-loader;
    its languages are those of espeak-ng --voices. The same options make the same bytes.

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
        str | None, typer.Option(metavar="SPEAKER", help="Test on all takes of this speaker, who is nowhere else.")
    ] = None,
    download: Download = False,
    shards: Shards = False,
    shard_mb: ShardMb = SHARD_MB,
    overwrite: Overwrite = False,
) -> None:
    """Prepare the Free Spoken Digit Dataset.

    Its recordings are files like 7_jackson_32.wav. The official split: takes 0-4 test, 5-9 validation, the others
    training, so that all splits share the six speakers. With --hold-out: that speaker is the test, takes 5-9 of the
    other five validation, the others training.

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
    train: Annotated[Subsets, typer.Option(metavar="SUBSET", help="Repeatable; else train-clean-100.")] = None,
    valid: Annotated[Subsets, typer.Option(metavar="SUBSET", help="Repeatable; else dev-clean.")] = None,
    test: Annotated[Subsets, typer.Option(metavar="SUBSET", help="Repeatable; else test-clean.")] = None,
    ids: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Instead of subsets: train.txt, valid.txt and test.txt, an id a line."),
    ] = None,
    download: Download = False,
    shards: Shards = False,
    shard_mb: ShardMb = SHARD_MB,
    overwrite: Overwrite = False,
) -> None:
    """Prepare LibriSpeech, or a corpus in its layout.

    The layout is SUBSET/SPEAKER/CHAPTER/ with a .trans.txt and the audio, in FLAC or another format. A split is made
    of subsets, or of the utterances that a list of ids names.

    Example: asr prepare librispeech --source LibriSpeech --out data/libri

    Example: asr prepare librispeech --source mini --ids mini/splits --out data/mini
    """
    from asr.corpora.librispeech import archives, corpus_folder, prepare

    subsets = {split: names for split, names in (("train", train), ("valid", valid), ("test", test)) if names}
    if download and ids:
        raise typer.BadParameter("which subsets hold the ids is not known; fetch them first", param_hint="--download")
    if download:
        _fetch(archives(subsets), corpus_folder(source))
    packed = shard_mb if shards else None
    _run(prepare, out, "librispeech", packed, source=source, subsets=subsets, ids=ids, overwrite=overwrite)


@app.command("an4")
def an4(
    source: Source,
    out: Out,
    valid: Annotated[float, typer.Option(help="Share of the training utterances for validation.")] = 0.1,
    partial: Annotated[bool, typer.Option("--partial", help="Take what is there, if recordings are missing.")] = False,
    download: Download = False,
    shards: Shards = False,
    shard_mb: ShardMb = SHARD_MB,
    overwrite: Overwrite = False,
) -> None:
    """Prepare CMU's AN4, also called Census.

    Any of its archives will do, unpacked: SPHERE, or the raw ones, which are written into OUT/pieces as FLAC. The test
    is CMU's. For validation some speakers of the training set are set aside, always the same.

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
    """Prepare a language of Mozilla's Common Voice.

    Its folder holds clips/ and train.tsv, dev.tsv and test.tsv, which are the splits. The manifests keep age, gender,
    accents and variant where speakers gave them, for asr evaluate --by.

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
            help="Instead of a .txt beside each recording: a .csv or .tsv with the texts, a Kaldi data folder, or a "
            "NeMo manifest (.json, .jsonl). Repeatable with a split's name, as train=PATH.",
        ),
    ] = None,
    speaker_from: Annotated[
        SpeakerFrom, typer.Option(help="The table's speaker column, or the folder that a recording lies in.")
    ] = SpeakerFrom.COLUMN,
    valid: Annotated[float, typer.Option(help="Share of the time for validation.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of the time for the test.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Random seed of the division into splits.")] = 0,
    shared: Annotated[
        list[Shared] | None, typer.Option(help="What the table's own split column shares on purpose; repeatable.")
    ] = None,
    dataset_name: Annotated[str, typer.Option(help="For dataset.yaml; else the name of the source folder.")] = "",
    license: Annotated[str, typer.Option(help="For dataset.yaml.")] = "",
    shards: Shards = False,
    shard_mb: ShardMb = SHARD_MB,
    overwrite: Overwrite = False,
) -> None:
    """Prepare your own recordings.

    They are audio files, each with a .txt of the same name beside it; or a table with the columns audio (or path,
    file), text (or transcript, sentence) and, where known, speaker (or client_id), id and split. A table of two
    columns, path and text, needs no header. Paths in it start from --source. The columns offset and duration, or start
    and end, in seconds, say which part of a recording a row is; it is cut out into OUT/pieces.

    With a split column the table decides. Else the splits are made by speaker, if all are known and there are three
    or more: no speaker is in two splits. With one or two speakers, or unknown ones, they are made by text: no text is
    in two splits, and the figures tell nothing about new speakers. Few speakers make the sizes coarse. Given again with
    more recordings, it leaves those of before in their splits.

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
    from asr.corpora.common import earlier_division, few, since
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
        new, gone = since(before, splits)
        if shard_mb:
            splits = pack_corpus(out, splits, shard_mb, partial(advance, "shards"))
    if before and new:
        stay = f"{len(before) - len(gone):,} recordings stay in their splits"
        print(f"asr: {stay}, {len(new):,} are new: {few(new)}", file=sys.stderr)
    if gone:
        print(f"asr: {len(gone):,} of the {len(before):,} recordings of before are gone: {few(gone)}", file=sys.stderr)
    _show(splits, out, conf, doubts(splits, read_dataset(out).shared))
    if left_out:
        print(f"asr: {left_out} left out, each named above; the others are prepared", file=sys.stderr)
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
        print("\nNot every speaker is known, so splits may share some, and figures may tell nothing about new ones.")
    for doubt in doubts:
        print(f"\nwarning: {doubt}")
    if shared := read_dataset(out).shared:
        declared = f"{out / 'dataset.yaml'} declares it, and reports will say so."
        print(f"\nThe splits share {' and '.join(shared)}; {declared}")
    manifests = [str(out / f"{name}.jsonl") for name in splits]
    check = shlex.join(["asr", "check", *manifests, "--conf", conf])
    beside = out.name == "data" and out.parent.name  # as recipes have it: runs/greek/data, runs/greek/run
    run = out.parent / "run" if beside else Path("runs") / out.resolve().name
    train = shlex.join(["asr", "train", conf, "--data", str(out), "--out", str(run)])
    print(f"\nnext:  {check}\n       {train}")
