// One call: the peer connection and the HTTP requests around it. Knows nothing of the page; tells it through `Listener`.

import type { ClientMessage } from "./events.js";
import type { Source } from "./microphone.js";
import { Refused } from "./microphone.js";
import { PlayoutReporter } from "./playout.js";
import { problemOfResponse, unreachable } from "./problem.js";

export interface Persona {
  name: string;
  title: string;
  description: string;
  /** False for an echo or a recording, which cannot take a call over. */
  talks: boolean;
}

export type Link = "connected" | "wavering" | "failed";

export interface Listener {
  /** One message of the `events` channel, as it came. */
  message(text: string): void;
  /** The remote track: the agent's voice. */
  audio(stream: MediaStream): void;
  link(link: Link): void;
}

/** How long the server's answer to a hang-up and its last event may take before the connection is closed anyway. */
const FAREWELL_MS = 1500;
/** How long the question for relays may take: without an answer a call is tried the direct way. */
const RELAYS_MS = 2000;
/** How long gathering may take; host addresses come at once, and a slow network service must not hold up the call. */
const GATHER_MS = 3000;

/** Questions that could be asked next: as many as stand on one line of buttons. */
const FOLLOW_UPS = 3;

async function request(url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch {
    throw new Refused(unreachable);
  }
  if (!response.ok) {
    throw new Refused(problemOfResponse(response.status, response.headers.get("content-type"), await response.text()));
  }
  return response;
}

export async function fetchPersonas(): Promise<Persona[]> {
  const response = await request("/v1/personas", { headers: { accept: "application/json" } });
  return (await response.json()) as Persona[];
}

/** What the server says that it is reached through where no datagram gets there. */
async function fetchRelays(): Promise<RTCIceServer[]> {
  try {
    const response = await fetch("/v1/ice", { headers: { accept: "application/json" }, signal: AbortSignal.timeout(RELAYS_MS) });
    if (!response.ok) return [];
    return ((await response.json()) as { iceServers?: RTCIceServer[] }).iceServers ?? [];
  } catch {
    return [];
  }
}

function gathered(peer: RTCPeerConnection): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, GATHER_MS);
    function done(): void {
      clearTimeout(timer);
      peer.removeEventListener("icegatheringstatechange", look);
      resolve();
    }
    function look(): void {
      if (peer.iceGatheringState === "complete") done();
    }
    peer.addEventListener("icegatheringstatechange", look);
    look();
  });
}

export class Call {
  readonly #peer: RTCPeerConnection;
  readonly #channel: RTCDataChannel;
  readonly #source: Source;
  readonly #playout: PlayoutReporter;
  #location: string | null = null;
  #closed = false;
  /** This side has hung up: what goes away from now on goes as it should. */
  #leaving = false;

  private constructor(configuration: RTCConfiguration, source: Source, listener: Listener) {
    this.#peer = new RTCPeerConnection({ ...configuration, bundlePolicy: "max-bundle" });
    this.#source = source;
    this.#peer.addTransceiver(source.track, { direction: "sendrecv", streams: [new MediaStream([source.track])] });
    this.#channel = this.#peer.createDataChannel("events", { ordered: true });
    this.#playout = new PlayoutReporter(this.#peer, (report) => this.send(report));
    this.#channel.addEventListener("message", ({ data }) => {
      if (typeof data === "string") listener.message(data);
    });
    this.#channel.addEventListener("open", () => {
      this.send({ type: "follow-ups", most: FOLLOW_UPS });
      if (source.echoCancelled !== undefined) this.send({ type: "microphone", echo_cancelled: source.echoCancelled });
    });
    this.#channel.addEventListener("close", () => {
      if (!this.#leaving) listener.link("failed");
    });
    this.#peer.addEventListener("track", ({ track, streams }) => listener.audio(streams[0] ?? new MediaStream([track])));
    this.#peer.addEventListener("connectionstatechange", () => {
      if (this.#leaving) return;
      const { connectionState } = this.#peer;
      if (connectionState === "connected" || connectionState === "failed") listener.link(connectionState);
      else if (connectionState === "disconnected") {
        listener.link("wavering");
        void this.#findAnotherWay();
      }
    });
  }

  /**
   * Offers a call to the server and takes its answer. The source is the call's from here on, also when this fails. With
   * `relayed` nothing goes to the server directly: to see whether the relays work.
   */
  static async dial(persona: string, caller: string | null, source: Source, listener: Listener, relayed: boolean): Promise<Call> {
    const iceServers = await fetchRelays();
    const call = new Call({ iceServers, iceTransportPolicy: relayed ? "relay" : "all" }, source, listener);
    try {
      await call.#peer.setLocalDescription();
      await gathered(call.#peer);
      const who = caller === null ? "" : `&caller=${encodeURIComponent(caller)}`;
      const response = await request(`/v1/calls?persona=${encodeURIComponent(persona)}${who}`, {
        method: "POST",
        headers: { "content-type": "application/sdp", accept: "application/sdp, application/problem+json" },
        body: call.#peer.localDescription?.sdp ?? "",
      });
      call.#location = response.headers.get("location");
      await call.#peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
      return call;
    } catch (error) {
      call.leave();
      throw error;
    }
  }

  /** The way to the server is gone, as after a change of network: offers again, over whatever way there is now. */
  async #findAnotherWay(): Promise<void> {
    if (this.#location === null || this.#peer.signalingState !== "stable") return;
    try {
      this.#peer.restartIce();
      await this.#peer.setLocalDescription();
      await gathered(this.#peer);
      const response = await request(this.#location, {
        method: "POST",
        headers: { "content-type": "application/sdp", accept: "application/sdp, application/problem+json" },
        body: this.#peer.localDescription?.sdp ?? "",
      });
      await this.#peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
    } catch {
      // Not reachable now, or the call is over: the connection's own state tells which, and the page shows it.
      if (!this.#closed) await this.#peer.setLocalDescription({ type: "rollback" }).catch(() => undefined);
    }
  }

  /** False when the channel is not open (any more): nothing was sent. */
  send(message: ClientMessage): boolean {
    if (this.#channel.readyState !== "open") return false;
    this.#channel.send(JSON.stringify(message));
    return true;
  }

  /** The other side speaks, or does not: what is played matters more while it does. */
  otherSpeaks(on: boolean): void {
    this.#playout.speaking(on);
  }

  /** Holds the agent's sound back for so long, where the browser lets a page say so: copies of lost packets come later. */
  hold(ms: number): void {
    for (const receiver of this.#peer.getReceivers()) {
      if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = ms > 0 ? ms : null;
    }
  }

  mute(on: boolean): void {
    this.#source.track.enabled = !on;
    this.send({ type: "mute", on });
  }

  /** Hangs up, leaves the server a moment for its last event, and closes. */
  async hangUp(): Promise<void> {
    if (this.#closed) return;
    this.#leaving = true;
    this.#source.track.enabled = false;
    const channelClosed = new Promise((resolve) => this.#channel.addEventListener("close", resolve, { once: true }));
    const patience = new Promise((resolve) => setTimeout(resolve, FAREWELL_MS));
    const location = this.#location;
    this.#location = null;
    if (location) {
      // An error here means that the call is gone already, and gone is what was asked for.
      const deleted = fetch(location, { method: "DELETE" }).then(() => channelClosed, () => undefined);
      await Promise.race([deleted, patience]);
    }
    this.close();
  }

  /** The page goes away: no time for farewells, but the request outlives the page. */
  leave(): void {
    if (this.#location) void fetch(this.#location, { method: "DELETE", keepalive: true }).catch(() => undefined);
    this.close();
  }

  /** Closes this side. The server has ended the call, or will notice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = this.#leaving = true;
    this.#location = null;
    this.#playout.close();
    this.#peer.close();
    this.#source.close();
  }
}
