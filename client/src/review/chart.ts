// What can be drawn of an answer: bars, where it has names and figures. Pure but for the pen.

import type { Table } from "./api.js";

export interface Bars {
  title: string;
  names: string[];
  values: number[];
}

/** More bars than this cannot be told apart. */
const MOST = 40;

/** The first column that names and the first that counts; null where there is no such pair, or a single row. */
export function barsOf(table: Table): Bars | null {
  const column = (is: (value: unknown) => boolean) =>
    table.columns.findIndex((_, n) => table.rows.some((row) => row[n] !== null) && table.rows.every((row) => row[n] === null || is(row[n])));
  const names = column((value) => typeof value === "string");
  const values = column((value) => typeof value === "number" && value >= 0);
  if (names < 0 || values < 0 || table.rows.length < 2) return null;
  const shown = table.rows.slice(0, MOST);
  return {
    title: `${table.columns[values] ?? ""} by ${table.columns[names] ?? ""}`,
    names: shown.map((row) => String(row[names] ?? "")),
    values: shown.map((row) => Number(row[values] ?? 0)),
  };
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
