// What can be drawn of an answer: bars, where it has names and figures. Pure but for the pen.

import type { Cell, Table } from "./api.js";

export interface Bars {
  title: string;
  names: string[];
  values: number[];
}

/** More bars than this cannot be told apart. */
const MOST = 40;

/** Columns whose numbers are names: how tall they are says nothing. */
const NUMBERED = /^(id|n|turn|caller_turn|judgement|at_ms)$|_id$|_utc_ms$/;

/**
 * The first column that counts, and what names its bars: the first column of words, with the turn where the bars are turns, so that each
 * has a name of its own. Null where there is no such pair, or a single row.
 */
export function barsOf(table: Table): Bars | null {
  const column = (is: (value: unknown, name: string) => boolean) =>
    table.columns.findIndex((name, n) => table.rows.some((row) => row[n] !== null) && table.rows.every((row) => row[n] === null || is(row[n], name)));
  const names = column((value) => typeof value === "string");
  const values = column((value, name) => typeof value === "number" && value >= 0 && !NUMBERED.test(name));
  if (names < 0 || values < 0 || table.rows.length < 2) return null;
  const turn = table.columns.indexOf("turn");
  const shown = table.rows.slice(0, MOST);
  const name = (row: Cell[]) => (turn < 0 ? String(row[names] ?? "") : `${short(String(row[names] ?? ""))} ${String(row[turn] ?? "")}`);
  return {
    title: `${table.columns[values] ?? ""} by ${table.columns[names] ?? ""}${turn < 0 ? "" : " and turn"}`,
    names: shown.map(name),
    values: shown.map((row) => Number(row[values] ?? 0)),
  };
}

/** The end of a call's name is what tells it from others of the same hour. */
function short(name: string): string {
  return name.length > 12 ? `…${name.slice(-6)}` : name;
}

export interface Inks {
  ink: string;
  dim: string;
  rule: string;
  caller: string;
  agent: string;
  bad: string;
}

export function inks(of: Element): Inks {
  const style = getComputedStyle(of);
  const ink = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return { ink: ink("ink"), dim: ink("dim"), rule: ink("rule"), caller: ink("caller"), agent: ink("agent"), bad: ink("bad") };
}

/** A pen for a canvas in its own size, sharp on any screen. */
export function penOf(canvas: HTMLCanvasElement): { pen: CanvasRenderingContext2D; width: number; height: number } | null {
  const { clientWidth: width, clientHeight: height } = canvas;
  const pen = canvas.getContext("2d");
  if (!pen || width === 0) return null;
  canvas.width = width * devicePixelRatio;
  canvas.height = height * devicePixelRatio;
  pen.scale(devicePixelRatio, devicePixelRatio);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}

export function drawBars(canvas: HTMLCanvasElement, bars: Bars): void {
  const drawing = penOf(canvas);
  if (!drawing) return;
  const { pen, width, height } = drawing;
  const { ink, dim, agent } = inks(canvas);
  const most = Math.max(...bars.values, 1e-9);
  const step = width / bars.values.length;
  const low = height - 20;
  pen.font = "12px system-ui, sans-serif";
  bars.values.forEach((value, n) => {
    const tall = ((low - 18) * value) / most;
    pen.fillStyle = agent;
    pen.fillRect(n * step + 2, low - tall, Math.max(1, step - 4), tall);
    if (step < 34) return;
    pen.fillStyle = ink;
    pen.fillText(String(Math.round(value * 10) / 10), n * step + 2, low - tall - 4, step - 4);
    pen.fillStyle = dim;
    pen.fillText(bars.names[n] ?? "", n * step + 2, height - 6, step - 4);
  });
}
