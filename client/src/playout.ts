// What is coming out of the loudspeaker, told to the server: only so can it know which words were heard.

import type { ClientMessage } from "./events.js";

/** Between two reports while the other side speaks, and otherwise. */
const SPEAKING_MS = 200;
const QUIET_MS = 1000;
/** The sound card's delay changes slowly, and asking for it is not cheap. */
const CARD_EVERY_MS = 2000;
/** Until the browser has told better: what a sound card usually takes. */
const CARD_MS = 20;
/** Frames are handed over every 10 ms. A source that has had none for so long says nothing about now. */
const OLD_MS = 200;
/** Opus's clock, whatever it carries. */
const RTP_PER_MS = 48;

type Report = Extract<ClientMessage, { type: "playout" }>;

/** A synchronization source, as browsers give it. */
export interface PlayedSource {
  rtpTimestamp?: number;
  /** Milliseconds since the Unix epoch, by `performance.timeOrigin + performance.now()`. */
  timestamp: number;
}

/**
 * The report to send now, or null when there is nothing to tell. `now_ms` is `performance.now()`, `origin_ms` its origin,
 * `card_ms` the way from the track to the ear: what is heard now was handed to the track so long ago.
 */
export function reportOf(source: PlayedSource | undefined, now_ms: number, origin_ms: number, card_ms: number): Report | null {
  if (source?.rtpTimestamp === undefined) return null;
  const delivered_ms = source.timestamp - origin_ms;
  const age_ms = now_ms - delivered_ms;
  if (!(age_ms >= -OLD_MS && age_ms < OLD_MS)) return null;
  const heard = source.rtpTimestamp + Math.round((age_ms - card_ms) * RTP_PER_MS);
  return { type: "playout", rtp_timestamp: heard >>> 0, at_ms: Math.max(0, Math.round(now_ms)) };
}

/** The sound card's delay from two readings of its totals: seconds of delay summed over samples, and samples. */
export function cardDelayMs(before: { delay_s: number; samples: number }, now: { delay_s: number; samples: number }): number | null {
  const samples = now.samples - before.samples;
  const ms = ((now.delay_s - before.delay_s) / samples) * 1000;
  return samples > 0 && ms >= 0 && ms < 1000 ? ms : null;
}

export class PlayoutReporter {
  readonly #peer: RTCPeerConnection;
  readonly #send: (report: Report) => boolean;
  #timer = 0;
  #speaking = false;
  #card_ms = CARD_MS;
  #asked_ms = -Infinity;
  #totals = { delay_s: 0, samples: 0 };

  constructor(peer: RTCPeerConnection, send: (report: Report) => boolean) {
    this.#peer = peer;
    this.#send = send;
    this.#tell();
  }

  /** Reports come more often while the other side speaks. */
  speaking(on: boolean): void {
    if (on === this.#speaking) return;
    this.#speaking = on;
    clearTimeout(this.#timer);
    this.#tell();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = -1;
  }

  #tell(): void {
    if (this.#timer === -1) return;
    const now_ms = performance.now();
    const [receiver] = this.#peer.getReceivers();
    // Chromium, Firefox and Safari have rtpTimestamp; TypeScript's list of the DOM may lag behind.
    const source = receiver?.getSynchronizationSources?.()[0] as PlayedSource | undefined;
    const report = reportOf(source, now_ms, performance.timeOrigin, this.#card_ms);
    if (report) this.#send(report);
    if (now_ms - this.#asked_ms >= CARD_EVERY_MS) {
      this.#asked_ms = now_ms;
      void this.#askCard();
    }
    this.#timer = window.setTimeout(() => this.#tell(), this.#speaking ? SPEAKING_MS : QUIET_MS);
  }

  async #askCard(): Promise<void> {
    const stats = await this.#peer.getStats().catch(() => null);
    stats?.forEach((entry: { type: string; totalPlayoutDelay?: number; totalSamplesCount?: number }) => {
      if (entry.type !== "media-playout" || entry.totalPlayoutDelay === undefined || entry.totalSamplesCount === undefined) return;
      const now = { delay_s: entry.totalPlayoutDelay, samples: entry.totalSamplesCount };
      this.#card_ms = cardDelayMs(this.#totals, now) ?? this.#card_ms;
      this.#totals = now;
    });
  }
}
