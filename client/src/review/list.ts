// Which calls are listed: filters become a statement. Pure.

import type { Cell } from "./api.js";

export interface Filters {
  text: string;
  persona: string;
  ending: string;
  what: string;
}

/** Calls that come at once. */
export const PAGE = 100;

/** What may be asked for by name, as a condition on `calls`. */
const WHAT: Record<string, string> = {
  "cut-in": "EXISTS (SELECT 1 FROM barge_ins WHERE barge_ins.call = calls.id)",
  refused:
    "EXISTS (SELECT 1 FROM judgements WHERE judgements.call = calls.id AND moment = 'end_of_turn' AND action IN ('refuse', 'deflect', 'silence', 'block'))",
  unheard: "EXISTS (SELECT 1 FROM turns WHERE turns.call = calls.id AND heard = '' AND text <> '' AND reason IS NOT 'draft')",
  trouble: "EXISTS (SELECT 1 FROM events WHERE events.call = calls.id AND type = 'trouble')",
  slow: "EXISTS (SELECT 1 FROM turn_latency WHERE turn_latency.call = calls.id AND response_ms >= 2000)",
  loss: "packets_lost * 50 >= packets_received + packets_lost AND packets_lost > 0",
};

/** The conditions and their parameters. */
function conditions(filters: Filters): { where: string; parameters: Cell[] } {
  const where: string[] = [];
  const parameters: Cell[] = [];
  const asked = (condition: (n: string) => string, value: string) => {
    parameters.push(value);
    where.push(condition(`?${parameters.length}`));
  };
  for (const word of filters.text.trim().split(/\s+/).filter((text) => text !== "")) {
    const inTurns = (n: string) =>
      `EXISTS (SELECT 1 FROM turns WHERE turns.call = calls.id AND text LIKE ${n} ESCAPE '\\')`;
    asked(inTurns, `%${word.replaceAll(/[\\%_]/g, "\\$&")}%`);
  }
  if (filters.persona) asked((n) => `persona = ${n}`, filters.persona);
  if (filters.ending === "open") where.push("end_reason IS NULL");
  else if (filters.ending) asked((n) => `end_reason = ${n}`, filters.ending);
  const what = WHAT[filters.what];
  if (what) where.push(what);
  return { where: where.length > 0 ? `WHERE ${where.join(" AND ")}` : "", parameters };
}

/** A page of calls, the newest first; the conditions are asked of the calls alone, so that ten thousand are no burden. */
export function listed(filters: Filters, offset: number): [string, Cell[]] {
  const { where, parameters } = conditions(filters);
  const chosen = `SELECT id FROM calls ${where} ORDER BY started_utc_ms DESC, id DESC LIMIT ${PAGE} OFFSET ${offset}`;
  return [
    `SELECT call_overview.* FROM (${chosen}) AS chosen JOIN call_overview ON call_overview.call = chosen.id
     ORDER BY started_utc DESC, call DESC`,
    parameters,
  ];
}

/** How many there are. */
export function counted(filters: Filters): [string, Cell[]] {
  const { where, parameters } = conditions(filters);
  return [`SELECT count(*) AS calls FROM calls ${where}`, parameters];
}
