"""Sound for the clients: a buzz with the harmonics of a voice and syllables, and how loud something is."""
import math
import struct


def voice(rate_hz, seconds, start=0):
    """16 bit samples that a detector by energy takes for speech."""
    out = []
    for n in range(int(rate_hz * seconds)):
        t = (start + n) / rate_hz * math.tau
        buzz = sum(math.sin(t * 140 * k) / k for k in range(1, 13))
        out.append(int(32767 * max(-1, min(1, 0.2 * buzz * (0.7 + 0.3 * math.sin(t * 4))))))
    return out


def little_endian(samples):
    return struct.pack(f"<{len(samples)}h", *samples)


def loudness(samples):
    """Root mean square, 0 to 1."""
    return math.sqrt(sum(s * s for s in samples) / max(1, len(samples))) / 32768
