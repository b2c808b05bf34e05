"""Every setting of a run: its name, type, default, limits and meaning, in one tree.

The descriptions here are the one source: error messages, `asr config NAME` and the commented files in conf/ are all
made from them (see `asr.config_file`).
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("the first number must not be above the second")
    return pair


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
Activation = Literal["relu", "tanh", "sigmoid", "gelu", "clipped-relu"]


class Section(BaseModel):
    """A group of settings: unknown names are errors, values are fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FeatureConfig(Section):
    """Log-mel features, from waveform to (frames, bands)."""

    sample_rate: int = Field(16000, ge=4000, le=48000, description="in Hz; all recordings are resampled to it")
    window_ms: float = Field(25.0, gt=0, le=100, description="length of the Hann window")
    hop_ms: float = Field(10.0, gt=0, le=50, description="time from one frame to the next")
    scale: Literal["mel", "linear"] = Field(
        "mel", description="mel bands (log-mel spectrogram), or all FFT bins (log spectrogram)"
    )
    mels: int = Field(80, ge=8, le=256, description="number of mel bands")
    low_hz: float = Field(20.0, ge=0, description="lower edge of the lowest mel band")
    high_hz: float | None = Field(
        None, gt=0, description="upper edge of the highest mel band; null: half the sample rate"
    )
    floor: float = Field(1e-7, gt=0, description="lower limit of the power, about the noise of 16 bits")
    loudness: Literal["keep", "equal"] = Field("equal", description="equal: scale all recordings to the same RMS level")
    normalize: Literal["corpus", "utterance"] = Field(
        "corpus", description="mean subtracted from each band: of the training set, or of the utterance"
    )

    @property
    def window(self) -> int:
        """Window length in samples."""
        return round(self.sample_rate * self.window_ms / 1000)

    @property
    def hop(self) -> int:
        """Hop length in samples."""
        return round(self.sample_rate * self.hop_ms / 1000)

    @property
    def fft(self) -> int:
        """FFT length in samples: under mel bands the power of two that holds the window, else the window itself."""
        return 1 << (self.window - 1).bit_length() if self.scale == "mel" else self.window

    @property
    def bands(self) -> int:
        """Numbers in one frame."""
        return self.mels if self.scale == "mel" else self.fft // 2 + 1

    @model_validator(mode="after")
    def _holds_samples(self) -> Self:
        if self.window < 2 or self.hop < 1:
            raise ValueError(f"window_ms {self.window_ms} and hop_ms {self.hop_ms} are too short for this sample_rate")
        return self

    @model_validator(mode="after")
    def _band_fits(self) -> Self:
        high = self.high_hz or self.sample_rate / 2
        if not self.low_hz < high <= self.sample_rate / 2:
            raise ValueError(f"low_hz < high_hz <= half the sample rate must hold, not {self.low_hz} and {high}")
        return self


class TextConfig(Section):
    """How transcripts are normalised before they become targets, and before they are scored."""

    normalizer: Literal["basic", "none"] = Field("basic", description="none leaves the text unchanged (except spaces)")
    unicode: Literal["NFC", "NFKC"] = Field("NFKC", description="Unicode form: composed, or composed and compatible")
    case: Literal["lower", "upper", "keep"] = Field("lower", description="case to convert letters to")
    punctuation: Literal["remove", "keep"] = Field(
        "remove", description="remove: replace punctuation and symbols by spaces"
    )
    keep: str = Field("'", description="punctuation to keep inside words, as in don't, but not at their edges")
    units: Literal["characters", "bpe"] = Field(
        "characters", description="output units of the model: characters, or subword units (BPE)"
    )
    bpe_tokens: int = Field(300, ge=3, description="number of BPE units, including single letters and the space")


class ConvConfig(Section):
    """One convolution over time, all mel bands (or channels) together."""

    channels: int = Field(256, ge=1)
    kernel: int = Field(5, ge=1, description="in frames; must be odd, so that a step is centred on its frames")
    stride: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _odd(self) -> Self:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, not {self.kernel}")
        return self


class Conv2dConfig(Section):
    """One convolution over time and bands, every band with the same weights."""

    channels: int = Field(32, ge=1)
    kernel: tuple[int, int] = Field((11, 21), description="frames and bands; both odd")
    stride: tuple[int, int] = Field((1, 1), description="frames and bands")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if any(size < 1 or size % 2 == 0 for size in self.kernel):
            raise ValueError(f"kernel must be two odd numbers, not {list(self.kernel)}")
        if min(self.stride) < 1:
            raise ValueError(f"stride must be two numbers of at least 1, not {list(self.stride)}")
        return self


class ModelConfig(Section):
    """The acoustic model: convolutions that shorten time, bidirectional LSTM layers, an output layer."""

    conv2d: tuple[Conv2dConfig, ...] = Field(
        (), description="convolutions over time and bands, before those over time only, as [{channels, kernel, stride}]"
    )
    subsample: tuple[ConvConfig, ...] = Field(
        (ConvConfig(channels=256, kernel=5, stride=3),),
        description="convolutions over time, in order; all strides multiply to the number of frames per output step",
    )
    layers: int = Field(3, ge=1, le=12, description="bidirectional LSTM layers")
    hidden: int = Field(256, ge=4, description="LSTM cells in each direction")
    merge: Literal["concat", "sum"] = Field("concat", description="how to combine the two directions")
    projection: int = Field(0, ge=0, description="width of a linear layer after each LSTM layer; 0: none")
    dense: int = Field(0, ge=0, description="width of a hidden layer between LSTM layers; 0: none")
    dense_top: int = Field(0, ge=0, description="width of a hidden layer before the output layer; 0: none")
    activation: Activation = Field("relu", description="activation function of the convolutions and hidden layers")
    norm: Literal["layer", "batch", "none"] = Field(
        "layer", description="normalisation after each layer: per step, or over a batch (single process only)"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout rate after each layer")

    @property
    def strides(self) -> tuple[int, ...]:
        """Those of the convolutions over time, first to last."""
        return (*(conv.stride[0] for conv in self.conv2d), *(conv.stride for conv in self.subsample))

    @property
    def stride(self) -> int:
        """Frames in one output step."""
        return math.prod(self.strides)


class AugmentConfig(Section):
    """Augmentation of training examples, drawn anew each epoch from (seed, epoch, utterance id)."""

    speed: Range = Field((0.9, 1.1), description="range of the playback speed; pitch changes with it")
    gain_db: Range = Field(
        (-6.0, 6.0), description="range of the gain in dB; with features.loudness equal, only its clipping remains"
    )
    noise: float = Field(0.0, ge=0, le=1, description="share of examples with added noise")
    noise_snr_db: Range = Field((10.0, 40.0), description="range of the signal-to-noise ratio in dB")
    noise_color: Range = Field(
        (0.0, 1.0), description="range of the spectral slope of synthetic noise: 0 white, 1 pink, 2 brown"
    )
    noise_files: str | None = Field(
        None, description="folder or list of noise recordings; null: synthetic coloured noise"
    )
    reverb: float = Field(0.0, ge=0, le=1, description="share of examples with reverberation")
    reverb_files: str | None = Field(None, description="folder or list of impulse responses; null: simulated rooms")
    reverb_seconds: Range = Field(
        (0.2, 0.8), description="range of the RT60 of simulated rooms (time for the echo to fall by 60 dB)"
    )
    reverb_drr_db: Range = Field(
        (0.0, 12.0), description="range of the direct-to-reverberant ratio of simulated rooms in dB"
    )
    band: float = Field(0.0, ge=0, le=1, description="share of examples that are low-pass or band-pass filtered")
    band_high_hz: Range = Field((3000.0, 6000.0), description="range of the upper cut-off frequency")
    band_low_hz: Range = Field(
        (0.0, 0.0), description="range of the lower cut-off frequency; up to 300 as in telephones"
    )
    tone_db: float = Field(
        0.0,
        ge=0,
        description="random tone colour in dB, as of another microphone; features.normalize utterance removes it",
    )
    join_seconds: float = Field(
        0.0, ge=0, description="join utterances of the same speaker up to this length; 0: never"
    )
    join_count: int = Field(8, ge=1, description="maximum utterances in a joined example; drawn from 1 to it")
    join_text: str = Field(" ", description="text between the transcripts of joined utterances")
    join_gap_ms: Range = Field((0.0, 300.0), description="range of the silence between joined utterances")
    time_masks: int = Field(2, ge=0, description="SpecAugment: number of time masks")
    time_mask_every: float = Field(
        0.0,
        ge=0,
        description="one time mask per this many seconds of an example, but at least time_masks; 0: time_masks",
    )
    time_mask_ms: float = Field(300.0, ge=0, description="maximum length of a time mask")
    time_mask_share: float = Field(
        0.2, ge=0, le=1, description="maximum share of an example that one time mask may cover"
    )
    mel_masks: int = Field(2, ge=0, description="SpecAugment: number of frequency masks")
    mel_mask_bands: int = Field(20, ge=0, description="maximum width of a frequency mask in bands")

    @property
    def join_texts(self) -> list[str]:
        """Texts besides the transcripts that a model must be able to write: what stands between joined ones."""
        return [self.join_text] if self.join_seconds else []

    @model_validator(mode="after")
    def _possible(self) -> Self:
        limits = {"speed": (0.5, 2.0), "reverb_seconds": (0.05, 10.0)}
        for name, (least, most) in limits.items():
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise ValueError(f"{name} must lie between {least:g} and {most:g}, not {[low, high]}")
        if not 0 <= self.band_low_hz[0] <= self.band_low_hz[1] < self.band_high_hz[0]:
            raise ValueError(
                f"band_low_hz {list(self.band_low_hz)} is not below band_high_hz {list(self.band_high_hz)}"
            )
        if self.join_gap_ms[0] < 0 or self.join_gap_ms[0] > self.join_gap_ms[1]:
            raise ValueError(f"join_gap_ms must be the shortest and longest silence, not {list(self.join_gap_ms)}")
        for name in ("noise", "reverb"):
            if getattr(self, f"{name}_files") and not getattr(self, name):
                raise ValueError(
                    f"{name}_files is given, but {name}, the share of examples that get it, is 0; set it above 0"
                )
        return self


class BatchConfig(Section):
    """How utterances are read and grouped into batches."""

    max_frames: int = Field(
        24000, ge=100, description="maximum frames per batch, including padding (100 are one second)"
    )
    max_utterances: int = Field(64, ge=1, description="maximum examples per batch")
    max_seconds: float = Field(
        30.0, gt=0, description="longer training utterances are left out; a message says how many"
    )
    workers: int = Field(0, ge=0, le=64, description="processes that read and augment audio; 0: the training process")
    sorted_first: bool = Field(False, description="sort the first epoch from short to long utterances (SortaGrad)")
    unreadable: int = Field(
        0,
        ge=0,
        description="number of unreadable training recordings to leave out; one more is an error",
    )
    cache_mb: int = Field(
        2000, ge=0, description="memory to cache 16-bit waveforms of a split, so that each file is read once; 0: none"
    )
    shard_window: int = Field(
        4, ge=0, description="shards read and shuffled at a time if waveforms do not fit in cache_mb; 0: all at once"
    )


class TrainConfig(Section):
    """The training loop."""

    seed: int = Field(1, ge=0, description="random seed")
    epochs: int = Field(
        30, ge=1, description="passes over the training set; the learning rate schedule ends with the last"
    )
    consistency: float = Field(
        0.0, ge=0, description="weight of the consistency loss between two masked views (CR-CTC); 0: one view"
    )
    intermediate: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (), description="LSTM layers with an additional CTC loss of their own (InterCTC); 0 is layers.0, the lowest"
    )
    intermediate_weight: float = Field(
        0.3, gt=0, lt=1, description="weight of the mean of these losses; the final loss gets the rest"
    )
    accumulate: int = Field(
        1, ge=1, description="batches per optimiser step (gradient accumulation), over all processes"
    )
    optimizer: Literal["adamw", "adam", "sgd"] = Field("adamw", description="optimiser")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of sgd")
    lr: float = Field(2e-3, gt=0, description="peak learning rate, reached after warm-up")
    schedule: Literal["cosine", "one-cycle", "noam", "plateau", "constant"] = Field(
        "cosine", description="learning rate schedule after warm-up"
    )
    warmup: float = Field(0.1, ge=0, lt=1, description="share of all steps in which the learning rate rises from 0")
    final_lr: float = Field(
        0.01, ge=0, le=1, description="share of the peak learning rate left at the end; plateau: its minimum"
    )
    plateau_factor: float = Field(0.5, gt=0, lt=1, description="plateau: factor by which to reduce the learning rate")
    plateau_patience: int = Field(
        1, ge=0, description="plateau: reduce after more epochs than this without improvement on validation"
    )
    weight_decay: float = Field(0.01, ge=0, description="weight decay of matrices only, not of biases and norms")
    ema: float = Field(0.0, ge=0, lt=1, description="decay of a moving average of the weights, such as 0.999; 0: none")
    average: Literal["none", "best", "last"] = Field(
        "none", description="average the weights of the best or last epochs at the end; kept if no worse on validation"
    )
    average_epochs: int = Field(
        5, ge=2, description="number of epochs to average; the run folder keeps the weights of each"
    )
    clip: float = Field(1.0, gt=0, description="maximum gradient norm; longer gradients are scaled down to it")
    bf16: Literal["auto", "on", "off"] = Field(
        "auto", description="bfloat16 training; auto: if the hardware supports it"
    )
    device: str = Field("auto", description="cpu, cuda, or auto: cuda if available")
    threads: int = Field(0, ge=0, description="CPU threads; 0: PyTorch's default, one per core")
    checkpoint_steps: int = Field(
        200, ge=1, description="steps between checkpoints; there is also one after each epoch"
    )
    patience: int = Field(
        0, ge=0, description="stop after this many epochs without improvement on validation; 0: never"
    )
    remember: bool = Field(
        True,
        description="store fingerprints of training recordings in the model file, so that evaluations detect overlap",
    )
    init_from: str | None = Field(
        None, description="model file to initialise the weights from; null: train from scratch"
    )
    freeze: tuple[str, ...] = Field((), description="parts of the model to freeze, such as subsample and layers.0")

    @model_validator(mode="after")
    def _noam_has_a_peak(self) -> Self:
        if self.schedule == "noam" and not self.warmup:
            raise ValueError("schedule noam needs a warm-up: set warmup above 0")
        return self


class Config(Section):
    """All settings of a run."""

    name: str = Field("asr", description="shown in logs and reports")
    features: FeatureConfig = FeatureConfig()
    text: TextConfig = TextConfig()
    model: ModelConfig = ModelConfig()
    augment: AugmentConfig = AugmentConfig()
    batches: BatchConfig = BatchConfig()
    train: TrainConfig = TrainConfig()

    @model_validator(mode="after")
    def _intermediate_layers_are_there(self) -> Self:
        chosen, top = self.train.intermediate, self.model.layers - 1
        if len(set(chosen)) < len(chosen) or any(layer >= top for layer in chosen):
            below = f"0 to {top - 1}" if top else "there are none"
            raise ValueError(
                f"train.intermediate: must list layers below the top one, each once ({below} with "
                f"model.layers {top + 1}), not {list(chosen)}"
            )
        return self

    @model_validator(mode="after")
    def _batch_norm_is_alone(self) -> Self:
        asked = [name for name in ("ema", "intermediate", "freeze") if getattr(self.train, name)]
        asked += ["average"] if self.train.average != "none" else []
        if self.model.norm == "batch" and asked:
            raise ValueError(f"model.norm: batch cannot be combined with train.{asked[0]}; use layer")
        return self

    @property
    def step_seconds(self) -> float:
        """Seconds in one output step of the model."""
        return self.features.hop * self.model.stride / self.features.sample_rate

    def steps(self, seconds: float) -> int:
        """Output steps that the model makes of so many seconds."""
        count = round(seconds * self.features.sample_rate) // self.features.hop + 1
        for stride in self.model.strides:
            count = -(-count // stride)
        return count
