"""Rooms: impulse responses, recorded or simulated, and speech heard through them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asr.data.filters import convolve
from asr.data.noise import Waveform, rms

_FIRST_ECHO_SECONDS = 0.0025  # after the direct sound: the detour by a wall or a table


@dataclass(frozen=True, eq=False)
class Room:
    """How a room answers to an impulse.

    Attributes:
        name: What it is, for readers.
        response: (taps,) float32.
        direct: The tap with the direct sound.
    """

    name: str
    response: Waveform
    direct: int = 0


def simulated_room(seconds: float, drr_db: float, sample_rate: int, rng: np.random.Generator) -> Room:
    """A room after Polack's statistical model: direct sound, then Gaussian noise that decays exponentially.

    That is what is left of a room's echoes once they are too dense to be told apart (Polack 1988, "La transmission de
    l'énergie sonore dans les salles"; Moorer 1979, "About this reverberation business"). It has no single early
    reflections, and all frequencies decay alike; but a source and image model of a room takes a hundred times as long.

    Args:
        seconds: RT60, in which the energy of the echo falls by 60 dB; the response ends there.
        drr_db: Energy of the direct sound above that of the echo.
        sample_rate: Hz.
        rng: Where the noise comes from.
    """
    taps = round(seconds * sample_rate)
    noise = rng.standard_normal(taps, np.float32)
    echo = noise * np.exp(np.arange(taps) * (-3 * np.log(10) / taps)).astype(np.float32)
    echo *= np.float32(10 ** (-drr_db / 20) / np.sqrt(np.sum(np.square(echo, dtype=np.float64))))
    direct = np.zeros(max(1, round(_FIRST_ECHO_SECONDS * sample_rate)), np.float32)
    direct[0] = 1.0
    name = f"room of RT60 {seconds:.2f} s, direct sound {drr_db:.1f} dB above its echo"
    return Room(name, np.concatenate([direct, echo]))


def recorded_room(name: str, response: Waveform) -> Room:
    """A room by its recorded response; the direct sound is its loudest sample."""
    return Room(f"room {name}", response, int(np.argmax(np.abs(response))))


def reverberate(waveform: Waveform, room: Room) -> Waveform:
    """Speech as it is heard in a room: as long, as loud and at the same time as without; its echo ends with it.

    Args:
        waveform: (samples,).
        room: One whose response is silent changes nothing.

    Returns:
        float32 (samples,), not clipped.
    """
    level = rms(waveform)
    if level == 0.0 or not room.response.any():
        return waveform
    response = room.response[: room.direct + len(waveform)]  # what comes later is heard by nobody
    heard = convolve(waveform, response, room.direct)
    return heard * np.float32(level / rms(heard))
