// The server's side of the review page: every list is a question to the call database.

import { Refused } from "../microphone.js";
import { problemOfResponse, unreachable } from "../problem.js";

export type Cell = string | number | null;

export interface Table {
  columns: string[];
  rows: Cell[][];
  /** There was more than the server gives at once. */
  cut: boolean;
}

/** A row by the names of its columns. */
export type Row = Record<string, Cell>;

export interface Question {
  name: string;
  question: string;
  sql: string;
}

/** The server wants a key, or another one. */
export class KeyWanted extends Error {}

const KEY = "duologue.review-key";

/** For this tab alone: whoever opens the browser tomorrow is asked again. */
export function keepKey(key: string): void {
  sessionStorage.setItem(KEY, key);
}

async function request(url: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const key = sessionStorage.getItem(KEY);
  if (key !== null) headers.set("authorization", `Bearer ${key}`);
  const response = await fetch(url, { ...init, headers }).catch(() => {
    throw new Refused(unreachable);
  });
  if (response.status === 401) throw new KeyWanted();
  if (response.ok) return response;
  throw new Refused(problemOfResponse(response.status, response.headers.get("content-type"), await response.text()));
}

/** Asks; `?1`, `?2` stand for the parameters. */
export async function sql(statement: string, parameters: Cell[] = []): Promise<Table> {
  const body = JSON.stringify({ sql: statement, parameters });
  const response = await request("/v1/sql", { method: "POST", headers: { "content-type": "application/json" }, body });
  return (await response.json()) as Table;
}

/** The same, row by row. */
export async function rows(statement: string, parameters: Cell[] = []): Promise<Row[]> {
  const table = await sql(statement, parameters);
  return table.rows.map((row) => Object.fromEntries(table.columns.map((name, n) => [name, row[n] ?? null])));
}

/** The answer as a file. */
export async function csv(statement: string): Promise<Blob> {
  const body = JSON.stringify({ sql: statement });
  const headers = { "content-type": "application/json", accept: "text/csv" };
  return (await request("/v1/sql", { method: "POST", headers, body })).blob();
}

export async function questions(): Promise<Question[]> {
  return (await (await request("/v1/review")).json()) as Question[];
}

/** Says what a judge should have done; the judge is trained on it. */
export async function label(judgement: number, action: string, by: string): Promise<void> {
  const headers = { "content-type": "application/json" };
  await request(`/v1/judgements/${judgement}/label`, { method: "POST", headers, body: JSON.stringify({ action, by }) });
}

/** Writes a note down; `at_ms` is a moment of the call, null the whole of it. */
export async function writeNote(call: string, text: string, by: string, at_ms: number | null): Promise<void> {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify(at_ms === null ? { text, by } : { text, by, at_ms });
  await request(`/v1/calls/${encodeURIComponent(call)}/notes`, { method: "POST", headers, body });
}

export async function removeNote(call: string, id: number): Promise<void> {
  await request(`/v1/calls/${encodeURIComponent(call)}/notes/${id}`, { method: "DELETE" });
}

/** How loud both sides were, 0 to 255, so many times a second. */
export interface Peaks {
  per_second: number;
  caller: number[];
  agent: number[];
}

/** Null where there is no recording; why is told by the row. */
export async function peaks(call: string): Promise<Peaks> {
  return (await (await request(`/v1/calls/${encodeURIComponent(call)}/recording/peaks`)).json()) as Peaks;
}

/** The sound itself: a media element sends no key, so that it is fetched where one is needed. */
export async function sound(call: string): Promise<string> {
  const url = `/v1/calls/${encodeURIComponent(call)}/recording`;
  if (sessionStorage.getItem(KEY) === null) return url;
  return URL.createObjectURL(await (await request(url)).blob());
}
