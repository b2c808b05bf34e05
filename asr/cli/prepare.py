"""`asr prepare CORPUS`: a corpus as train.jsonl, valid.jsonl, test.jsonl and dataset.yaml; a subcommand for each."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.errors import AsrError

if TYPE_CHECKING:  # what reads audio is imported where a command runs: `asr --help` must not need numpy
    from asr.data.manifest import Utterance

app = typer.Typer(
    help="Turn a corpus into train.jsonl, valid.jsonl, test.jsonl and dataset.yaml.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Source = Annotated[Path, typer.Option("--source", metavar="DIR", help="Folder of the corpus; nothing is copied.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the manifests and dataset.yaml.")]
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
) -> None:
    """Make the embedded corpus: digits and commands, spoken by espeak-ng in a hundred voices.

    Needs no download, only the extra: pip install 'asr-ctc[demo]'. The same options make the same bytes.

    Example: asr prepare digits --out data/digits
    """
    from asr.corpora.digits import prepare

    _show(prepare(out, utterances=utterances, seed=seed, workers=workers, on_progress=_progress), out, "digits")


@app.command("fsdd")
def fsdd(
    source: Source,
    out: Out,
    hold_out: Annotated[
        str | None, typer.Option(metavar="SPEAKER", help="Test on all takes of this speaker, who is nowhere else.")
    ] = None,
) -> None:
    """Prepare the Free Spoken Digit Dataset (files like 7_jackson_32.wav).

    The official split: takes 0-4 test, 5-9 validation, the others training, so that all splits share the six
    speakers. With --hold-out: that speaker is the test, takes 5-9 of the other five validation, the others training.

    Example: asr prepare fsdd --source fsdd --out data/fsdd

    Example: asr prepare fsdd --source fsdd --out data/fsdd-theo --hold-out theo
    """
    from asr.corpora.fsdd import prepare

    failures = Failures()
    _show(prepare(source, out, hold_out, on_error=failures.add), out, "fsdd")
    failures.exit()


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
) -> None:
    """Prepare LibriSpeech, or any corpus in its layout (SUBSET/SPEAKER/CHAPTER/*.trans.txt), FLAC or another format.

    Example: asr prepare librispeech --source LibriSpeech --out data/libri

    Example: asr prepare librispeech --source mini --ids mini/splits --out data/mini
    """
    from asr.corpora.librispeech import prepare

    failures = Failures()
    chosen = {split: names for split, names in (("train", train), ("valid", valid), ("test", test)) if names}
    _show(prepare(source, out, chosen, ids, on_error=failures.add), out, "librispeech")
    failures.exit()


@app.command("own")
def own(
    source: Source,
    out: Out,
    table: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A .csv or .tsv with the texts, instead of a .txt beside each recording."),
    ] = None,
    speaker_from: Annotated[
        SpeakerFrom, typer.Option(help="The table's speaker column, or the folder that a recording lies in.")
    ] = SpeakerFrom.COLUMN,
    valid: Annotated[float, typer.Option(help="Share of the time for validation.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of the time for the test.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Another seed is another division.")] = 0,
    shared: Annotated[
        list[Shared] | None, typer.Option(help="What the table's own split column shares on purpose; repeatable.")
    ] = None,
    dataset_name: Annotated[str, typer.Option(help="For dataset.yaml; else the name of the source folder.")] = "",
    license: Annotated[str, typer.Option(help="For dataset.yaml.")] = "",
) -> None:
    """Prepare your own recordings: audio files, each with a .txt of the same name beside it, or a table.

    A table has a header with the columns audio (or path, file), text (or transcript, sentence) and, where known,
    speaker (or client_id), id and split; or it has no header and two columns, path and text. Paths start from
    --source.

    With a split column the table decides. Else the splits are made by speaker, if all are known and there are three
    or more: no speaker is in two splits. With one or two speakers, or unknown ones, they are made by text: no text is
    in two splits, and the figures tell nothing about new speakers. Few speakers make the sizes coarse.

    Example: asr prepare own --source recordings --out data/own

    Example: asr prepare own --source cv/clips --table cv/all.tsv --out data/cv
    """
    from asr.corpora.own import prepare
    from asr.data.manifest import Dataset

    failures = Failures()
    splits = prepare(
        source,
        out,
        table=table,
        speaker_from_folder=speaker_from is SpeakerFrom.FOLDER,
        valid=valid,
        test=test,
        seed=seed,
        dataset=Dataset(dataset_name, license, shared=tuple(shared or ())),
        on_error=failures.add,
    )
    _show(splits, out, "own")
    failures.exit()


class Failures:
    """Recordings that could not be used: each is named on stderr as it is found, and the exit status tells."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, error: AsrError) -> None:
        """Name one."""
        print(f"asr: left out: {error}", file=sys.stderr)
        self.count += 1

    def exit(self) -> None:
        """End with status 1 if there was any."""
        if self.count:
            print(f"asr: {self.count} left out, the others are prepared", file=sys.stderr)
            raise typer.Exit(1)


def _show(splits: Mapping[str, Sequence[Utterance]], out: Path, conf: str) -> None:
    """What was written, what the splits share, and the commands that come next."""
    from asr.data.manifest import read_dataset

    print(f"{'split':<8}{'utterances':>12}{'hours':>9}{'speakers':>10}")
    for name, utterances in splits.items():
        speakers = {utterance.speaker for utterance in utterances}
        known = "unknown" if None in speakers else f"{len(speakers):,}"
        hours = sum(utterance.duration for utterance in utterances) / 3600
        print(f"{name:<8}{len(utterances):>12,}{hours:>9.2f}{known:>10}")
    if any(utterance.speaker is None for utterances in splits.values() for utterance in utterances):
        print("\nNot every speaker is known, so splits may share some, and figures may tell nothing about new ones.")
    if shared := read_dataset(out).shared:
        declared = f"{out / 'dataset.yaml'} declares it, and reports will say so."
        print(f"\nThe splits share {' and '.join(shared)}; {declared}")
    manifests = [str(out / f"{name}.jsonl") for name in splits]
    check = shlex.join(["asr", "check", *manifests, "--conf", conf])
    train = shlex.join(["asr", "train", conf, "--data", str(out), "--out", f"runs/{out.resolve().name}"])
    print(f"\nnext:  {check}\n       {train}")


def _progress(done: int, total: int) -> None:
    """Voices made so far: one line that counts on a terminal, a line for each quarter elsewhere."""
    if sys.stderr.isatty():
        print(f"\rvoices {done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)
    elif done * 4 // total > (done - 1) * 4 // total:
        print(f"voices {done}/{total}", file=sys.stderr, flush=True)
