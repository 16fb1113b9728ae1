// The timeline's picture: a lane for each voice, the floor between them, time below.

import type { FloorState } from "../events.js";
import { inWords, latencyOf } from "../latency.js";
import { LEVEL_STEP_MS, type LevelTrack, type Side } from "../levels.js";
import { type AgentStretch, type Timeline, unsaidMs } from "../timeline.js";
import { clock } from "./dom.js";

/** 15 s in the width of the page: an answer's wait is as wide as its label. */
export const PX_PER_MS = 0.048;

const LANE = 34;
const BAND = 6;
const GAP = 5;
const CALLER_TOP = 6;
const BAND_TOP = CALLER_TOP + LANE + GAP;
const AGENT_TOP = BAND_TOP + BAND + GAP;
const AXIS_TOP = AGENT_TOP + LANE + 4;
export const HEIGHT = AXIS_TOP + 18;
const RADIUS = 5;
/** Below this a bar would be noise. */
const AUDIBLE = 0.02;
/** What has left may be heard so much later. */
const HEARD_LATE_MS = 300;
/** An onset is looked for so far back, over pauses of so much: 600 ms, 100 ms. */
const ONSET_STEPS = 600 / LEVEL_STEP_MS;
const ONSET_PAUSE_STEPS = 100 / LEVEL_STEP_MS;

export interface Inks {
  ground: string;
  ink: string;
  dim: string;
  rule: string;
  caller: string;
  agent: string;
  thinking: string;
  suspect: string;
  bad: string;
  font: string;
}

export interface Picture {
  timeline: Timeline;
  levels: LevelTrack;
  inks: Inks;
  width: number;
  /** The moment at the left edge. */
  from_ms: number;
  now_ms: number;
  live: boolean;
  names: { caller: string; agent: string };
}

type Pen = CanvasRenderingContext2D;

export function draw(pen: Pen, picture: Picture): void {
  pen.clearRect(0, 0, picture.width, HEIGHT);
  axis(pen, picture);
  floor(pen, picture);
  caller(pen, picture);
  picture.timeline.agent.forEach((stretch, index, all) => agent(pen, picture, stretch, all[index + 1]));
  bars(pen, picture, "agent", AGENT_TOP);
  for (const stretch of picture.timeline.agent) wait(pen, picture, stretch);
  if (picture.live) present(pen, picture);
  names(pen, picture);
}

const x = (picture: Picture, ms: number) => (ms - picture.from_ms) * PX_PER_MS;

/** The left and right edge of a stretch, or null where it is out of sight. Nothing real lies in the future. */
function span(picture: Picture, from_ms: number, to_ms: number | null): [number, number] | null {
  const left = x(picture, from_ms);
  const right = x(picture, Math.min(to_ms ?? picture.now_ms, picture.now_ms));
  return right < -RADIUS || left > picture.width + RADIUS ? null : [left, Math.max(right, left + 2)];
}

function box(pen: Pen, left: number, top: number, right: number, height: number): void {
  pen.beginPath();
  pen.roundRect(left, top, right - left, height, Math.min(RADIUS, (right - left) / 2));
}

function axis(pen: Pen, picture: Picture): void {
  const { inks, width, from_ms } = picture;
  pen.font = `11px ${inks.font}`;
  pen.textBaseline = "top";
  pen.textAlign = "left";
  const until_ms = from_ms + width / PX_PER_MS;
  for (let second = Math.max(0, Math.floor(from_ms / 1000)); second * 1000 <= until_ms; second++) {
    const at = Math.round(x(picture, second * 1000)) + 0.5;
    const long = second % 5 === 0;
    pen.fillStyle = inks.rule;
    pen.fillRect(at - 0.5, long ? 0 : AXIS_TOP - 1, 1, long ? AXIS_TOP + 3 : 3);
    if (long) {
      pen.fillStyle = inks.dim;
      pen.fillText(clock(second * 1000), at + 3.5, AXIS_TOP + 3);
    }
  }
}

function hue(inks: Inks, state: FloorState): string {
  return state === "idle" ? inks.rule : inks[state];
}

function floor(pen: Pen, picture: Picture): void {
  for (const { state, from_ms, to_ms } of picture.timeline.floor) {
    const edges = span(picture, from_ms, to_ms);
    if (!edges) continue;
    pen.fillStyle = hue(picture.inks, state);
    // Nobody speaking is a thread, not a band.
    const thin = state === "idle";
    box(pen, edges[0], BAND_TOP + (thin ? BAND / 2 - 1 : 0), Math.max(edges[0] + 1, edges[1] - 1), thin ? 2 : BAND);
    pen.fill();
  }
}

function caller(pen: Pen, picture: Picture): void {
  const { inks } = picture;
  for (const { kind, from_ms, to_ms } of picture.timeline.caller) {
    const edges = span(picture, from_ms, to_ms);
    if (!edges) continue;
    if (kind === "typed") {
      typed(pen, edges[0], inks);
      continue;
    }
    edges[0] = x(picture, onset(picture, from_ms));
    pen.fillStyle = kind === "aside" ? inks.suspect : inks.caller;
    pen.globalAlpha = 0.16;
    box(pen, edges[0], CALLER_TOP, edges[1], LANE);
    pen.fill();
    pen.globalAlpha = 1;
  }
  bars(pen, picture, "caller", CALLER_TOP);
}

/** A turn without a voice: its moment, as a text cursor. */
function typed(pen: Pen, at: number, inks: Inks): void {
  pen.fillStyle = inks.caller;
  pen.fillRect(at - 2, CALLER_TOP + 4, 2, LANE - 8);
  pen.font = `600 11px ${inks.font}`;
  pen.textBaseline = "middle";
  pen.textAlign = "left";
  pen.fillText("typed", at + 4, CALLER_TOP + LANE / 2 + 0.5);
}

/**
 * Where the sound began that became a turn. The server is sure of it some 200 ms later (the way there, its jitter buffer,
 * and what it takes to tell a word from a click); the microphone's own level knows better.
 */
function onset({ levels }: Picture, from_ms: number): number {
  const first = Math.floor(from_ms / LEVEL_STEP_MS);
  let began = first;
  for (let step = first - 1; step >= first - ONSET_STEPS && began - step <= ONSET_PAUSE_STEPS; step--) {
    if (levels.at("caller", step) >= AUDIBLE) began = step;
  }
  return began * LEVEL_STEP_MS;
}

/** How loud it was: full colour where it counted as speech, grey where it did not. */
function bars(pen: Pen, picture: Picture, side: Side, top: number): void {
  const { inks, levels, timeline, width, from_ms, now_ms } = picture;
  // The agent is heard a little after it was sent.
  const stretches = side === "caller" ? timeline.caller : timeline.agent;
  const begins = (from_ms: number) => (side === "caller" ? onset(picture, from_ms) : from_ms);
  const late_ms = side === "caller" ? LEVEL_STEP_MS : HEARD_LATE_MS;
  const sounding = stretches.filter((s) => span(picture, s.from_ms - HEARD_LATE_MS, s.to_ms)).map((s) => ({ s, from_ms: begins(s.from_ms) }));
  const speech = (ms: number) => sounding.findLast(({ s, from_ms }) => from_ms <= ms && ms <= (s.to_ms ?? now_ms) + late_ms)?.s;
  const last = Math.floor(Math.min(now_ms, from_ms + width / PX_PER_MS) / LEVEL_STEP_MS);
  for (let step = Math.max(0, Math.floor(from_ms / LEVEL_STEP_MS)); step <= last; step++) {
    const level = levels.at(side, step);
    if (level < AUDIBLE) continue;
    const ms = step * LEVEL_STEP_MS;
    const within = speech(ms);
    pen.fillStyle = !within ? inks.rule : "kind" in within && within.kind === "aside" ? inks.suspect : inks[side];
    const height = Math.max(2, level * (LANE - 8));
    pen.fillRect(x(picture, ms) + 0.2, top + (LANE - height) / 2, LEVEL_STEP_MS * PX_PER_MS - 0.8, height);
  }
}

function agent(pen: Pen, picture: Picture, stretch: AgentStretch, next: AgentStretch | undefined): void {
  const { inks } = picture;
  const { outcome } = stretch;
  const edges = span(picture, stretch.from_ms, stretch.to_ms);
  if (edges && (outcome === "revoked" || (outcome === "failed" && stretch.heard === ""))) {
    ghost(pen, edges[0], edges[1], outcome === "failed" ? inks.bad : inks.dim);
    strike(pen, edges[0], edges[1], outcome === "failed" ? inks.bad : inks.dim);
    return;
  }
  if (edges) {
    pen.fillStyle = inks.agent;
    pen.globalAlpha = 0.16;
    box(pen, edges[0], AGENT_TOP, edges[1], LANE);
    pen.fill();
    pen.globalAlpha = 1;
    underline(pen, picture, stretch);
    for (const hold of stretch.holds) held(pen, picture, hold.from_ms, hold.to_ms);
  }
  const unsaid = unsaidMs(stretch);
  if (unsaid === 0 || stretch.to_ms === null) return;
  // It would have lain under what came after; there it makes way.
  const free_ms = next ? next.from_ms - (latencyOf(next.latency)?.total_ms ?? 0) : Infinity;
  const left = x(picture, stretch.to_ms) + 2;
  const right = x(picture, Math.min(stretch.to_ms + unsaid, free_ms));
  if (right - left < 4 || right < 0 || left > picture.width) return;
  ghost(pen, left, right, inks.suspect);
  strike(pen, left, right, inks.suspect);
}

/** As far as words have been heard. */
function underline(pen: Pen, picture: Picture, stretch: AgentStretch): void {
  const until = stretch.outcome === "completed" ? stretch.to_ms : stretch.heard_ms;
  const edges = until === null ? null : span(picture, stretch.from_ms, until);
  if (!edges) return;
  pen.fillStyle = picture.inks.agent;
  pen.fillRect(edges[0] + 3, AGENT_TOP + LANE - 2, Math.max(0, edges[1] - edges[0] - 6), 2);
}

/** Sound that was held back, as hatching. */
function held(pen: Pen, picture: Picture, from_ms: number, to_ms: number | null): void {
  const edges = span(picture, from_ms, to_ms);
  if (!edges) return;
  pen.save();
  box(pen, edges[0], AGENT_TOP, edges[1], LANE);
  pen.clip();
  pen.fillStyle = picture.inks.ground;
  pen.fill();
  pen.strokeStyle = picture.inks.suspect;
  pen.lineWidth = 1.5;
  pen.beginPath();
  for (let at = edges[0] - LANE; at < edges[1]; at += 5) {
    pen.moveTo(at, AGENT_TOP + LANE);
    pen.lineTo(at + LANE, AGENT_TOP);
  }
  pen.stroke();
  pen.restore();
}

/** The outline of speech that never was. */
function ghost(pen: Pen, left: number, right: number, ink: string): void {
  pen.strokeStyle = ink;
  pen.lineWidth = 1;
  pen.setLineDash([3, 3]);
  box(pen, left + 0.5, AGENT_TOP + 0.5, right - 0.5, LANE - 1);
  pen.stroke();
  pen.setLineDash([]);
}

function strike(pen: Pen, left: number, right: number, ink: string): void {
  pen.fillStyle = ink;
  pen.fillRect(left + 4, AGENT_TOP + LANE / 2 - 0.5, Math.max(0, right - left - 8), 1);
}

/** How long the caller waited, in the gap before the answer. */
function wait(pen: Pen, picture: Picture, { latency, from_ms, outcome }: AgentStretch): void {
  const waited = latencyOf(latency);
  if (!waited || outcome === "revoked") return;
  const right = x(picture, from_ms) - 5;
  const { inks } = picture;
  const label = inWords(waited.total_ms);
  pen.font = `600 11px ${inks.font}`;
  const room = pen.measureText(label).width;
  // Half a figure under the lane's name would be read as another figure.
  if (right - room < pen.measureText(picture.names.agent).width + 10 || right - room > picture.width) return;
  const middle = AGENT_TOP + LANE / 2;
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  pen.fillStyle = inks.ground;
  pen.fillRect(right - room - 2, middle - 7, room + 4, 14);
  pen.fillStyle = inks.thinking;
  pen.fillText(label, right, middle + 0.5);
}

function present(pen: Pen, picture: Picture): void {
  pen.fillStyle = picture.inks.ink;
  pen.fillRect(Math.round(x(picture, picture.now_ms)), CALLER_TOP, 1, AXIS_TOP - CALLER_TOP);
}

/** Whose lane it is, over whatever passes below. */
function names(pen: Pen, { inks, names: { caller, agent } }: Picture): void {
  pen.font = `600 11px ${inks.font}`;
  pen.textBaseline = "top";
  pen.textAlign = "left";
  for (const [name, top, ink] of [[caller, CALLER_TOP, inks.caller], [agent, AGENT_TOP, inks.agent]] as const) {
    pen.globalAlpha = 0.85;
    pen.fillStyle = inks.ground;
    box(pen, 0, top, pen.measureText(name).width + 8, 15);
    pen.fill();
    pen.globalAlpha = 1;
    pen.fillStyle = ink;
    pen.fillText(name, 4, top + 2);
  }
}
