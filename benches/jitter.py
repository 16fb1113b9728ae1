"""Scores what a receiver heard, network by network: PESQ-WB (ITU-T P.862.2) of segments of 8 s, mean and quartiles."""

import json
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy
import soundfile
from pesq import PesqError, pesq

RATE = 16_000
SEGMENT_S = 8
# Before any receiver's delay: packetisation and the encoder's own.
WAY_MS = 10 + 20 + 6.5


def aligned(spoken, heard):
    """Where in `heard` the segment begins: PESQ aligns finely, but within a quarter of its length only."""
    size = 1 << (len(spoken) + len(heard) - 1).bit_length()
    product = numpy.fft.rfft(heard, size) * numpy.conj(numpy.fft.rfft(spoken, size))
    return int(numpy.argmax(numpy.fft.irfft(product, size)[: RATE // 2]))


def scores(job):
    spoken, heard = job
    found = []
    length = SEGMENT_S * RATE
    for at in range(0, len(spoken) - length + 1, length):
        wanted = spoken[at : at + length]
        # The first segment has the delay's beginning in it; it is scored like the others.
        got = heard[at : at + length + RATE // 2]
        shift = aligned(wanted, got)
        got = got[shift : shift + length]
        got = numpy.pad(got, (0, length - len(got)))
        try:
            found.append(pesq(RATE, wanted, got, "wb"))
        except PesqError:
            pass
    return found


def main():
    out = Path(sys.argv[1])
    rows = [json.loads(line) for line in (out / "networks.jsonl").read_text().splitlines()]
    spoken, _ = soundfile.read(out / "spoken.wav", dtype="float32")
    jobs = ((spoken, soundfile.read(out / row["file"], dtype="float32")[0]) for row in rows)
    with ProcessPoolExecutor(2) as pool:
        results = list(pool.map(scores, jobs))
    print("| network | stretch | lost | late | concealed | recovered | stretched | delay mean / p95 / most | PESQ-WB mean (quartiles) |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row, found in zip(rows, results):
        quarter = statistics.quantiles(found, n=4)
        print(
            f"| {row['network']} | {'yes' if row['stretch'] else 'no'} | {row['lost']:.1f} % | {row['late']:.1f} % | {row['concealed']:.2f} % "
            f"| {row['recovered']:.2f} % | {row['stretched']:.2f} % | {row['delay_ms']} / {row['p95_ms']} / {row['most_ms']} ms "
            f"| {statistics.mean(found):.2f} ({quarter[0]:.2f} to {quarter[2]:.2f}, {len(found)} segments) |"
        )


main()
