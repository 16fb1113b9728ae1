"""Scores what the browser heard against what the server played, and makes the table of benches/downlink.sh.

PESQ-WB (ITU-T P.862.2) of stretches of eight seconds, each aligned by its own cross-correlation: what a jitter buffer adds
and takes back in delay is not what is measured here, what it makes up is. The mean over the stretches of all seeds stands in
the table with its 95 % interval (bootstrap over stretches).
"""

import json
import random
import sys
import wave
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from pesq import pesq
from scipy.signal import correlate, resample_poly

RATE_HZ = 16_000
STRETCH_S = 8
# What the reports of a browser take to tell of a line, and the server to act: the table shows both with and without it.
SETTLED_S = 10


def read(path):
    with wave.open(str(path)) as file:
        rate = file.getframerate()
        sound = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")[:: file.getnchannels()].astype(float)
    return sound if rate == RATE_HZ else resample_poly(sound, RATE_HZ, rate)


def aligned(reference, heard, near, reach):
    """The part of `heard` that fits `reference` best, looked for around `near`."""
    begin = max(near - reach, 0)
    window = heard[begin : near + len(reference) + reach]
    if len(window) < len(reference):
        return None, near
    at = int(np.argmax(correlate(window, reference, mode="valid", method="fft")))
    return window[at : at + len(reference)], begin + at


def stretches(reference_path, heard_path):
    """(second of the reference, PESQ-WB) for each stretch that was heard whole."""
    reference, heard = read(reference_path), read(heard_path)
    head = reference[: 4 * RATE_HZ]
    _, first = aligned(head, heard, 0, 6 * RATE_HZ)
    scored, near = [], first
    for begin in range(0, len(reference) - STRETCH_S * RATE_HZ + 1, STRETCH_S * RATE_HZ):
        part = reference[begin : begin + STRETCH_S * RATE_HZ]
        found, at = aligned(part, heard, near, RATE_HZ // 2)
        if found is None:
            break
        near = at + STRETCH_S * RATE_HZ
        scale = 32_767 / max(np.abs(part).max(), np.abs(found).max(), 1)
        scored.append((begin / RATE_HZ, pesq(RATE_HZ, (part * scale).astype(np.int16), (found * scale).astype(np.int16), "wb")))
    return scored


def interval(values, draw):
    means = sorted(np.mean(draw.choices(values, k=len(values))) for _ in range(2_000))
    return means[50], means[1_949]


def main():
    reference, work = Path(sys.argv[1]), Path(sys.argv[2])
    runs = sorted(path.parent for path in work.glob("*/figures.json"))
    with ProcessPoolExecutor(max_workers=2) as pool:
        scores = list(pool.map(stretches, [reference] * len(runs), [run / "heard.wav" for run in runs]))
    cells = {}
    for run, scored in zip(runs, scores):
        number, line, variant, seed = run.name.split("_")
        figures = json.loads((run / "figures.json").read_text())
        cells.setdefault((number, line, variant), []).append((scored, figures))
        with open(work / "stretches.csv", "a") as out:
            for second, value in scored:
                out.write(f"{line},{variant},{seed},{second},{value:.3f}\n")
    draw = random.Random(1)
    print("| line | variant | PESQ-WB | from the start | lost | concealed | delay / target | stretched |")
    print("|---|---|---|---|---|---|---|---|")
    for (_, line, variant), parts in sorted(cells.items()):
        settled = [value for scored, _ in parts for second, value in scored if second >= SETTLED_S]
        whole = [value for scored, _ in parts for _, value in scored]
        if not settled:
            continue
        low, high = interval(settled, draw)
        mean = lambda name: np.mean([figures[name] for _, figures in parts])
        print(
            f"| {line} | {variant} | **{np.mean(settled):.2f}** ({low:.2f} to {high:.2f}) | {np.mean(whole):.2f} "
            f"| {mean('lost_percent'):.1f} % | {mean('concealed_percent'):.2f} % "
            f"| {mean('delay_ms'):.0f} / {mean('target_ms'):.0f} ms | {mean('stretched_percent'):.2f} % |"
        )


main()
