"""Errors that mean "the request was wrong": the command line prints their one line and exits with status 2."""


class AsrError(Exception):
    """Base of all errors raised on purpose; the message is one line, complete and readable without a traceback."""


class AudioError(AsrError):
    """An audio input that cannot be used; the message names the file and what is wrong with it."""


class ManifestError(AsrError):
    """A manifest, dataset.yaml or split that cannot be used; the message names the file and line."""


class CorpusError(AsrError):
    """A corpus source folder that is not what `asr prepare` expects."""


class ConfigError(AsrError):
    """A configuration that cannot be used; the message names the field's path."""


class TextError(AsrError):
    """Text that cannot be used: characters outside the alphabet, wrong encoding, an empty alphabet."""


class ModelFileError(AsrError):
    """A file that is not a model of this project, or of a format this version cannot read."""


class ScoreError(AsrError):
    """References and hypotheses that cannot be scored against each other."""


class TrainingError(AsrError):
    """Training cannot start or go on; the message says why and what to do."""


class LanguageModelError(AsrError, ValueError):
    """A language model, or text for one, that cannot be used; the message names the file and line if there are any."""
