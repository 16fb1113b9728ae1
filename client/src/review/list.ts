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
  "cut-in": "EXISTS (SELECT 1 FROM call_totals WHERE call_totals.call = calls.id AND interruptions > 0)",
  refused:
    "EXISTS (SELECT 1 FROM judgements WHERE judgements.call = calls.id AND moment = 'end_of_turn' AND action IN ('refuse', 'deflect', 'silence', 'block'))",
  unheard: "EXISTS (SELECT 1 FROM turns WHERE turns.call = calls.id AND heard = '' AND text <> '' AND reason IS NOT 'draft')",
  trouble: "EXISTS (SELECT 1 FROM events WHERE events.call = calls.id AND type = 'trouble')",
  slow: "EXISTS (SELECT 1 FROM call_totals WHERE call_totals.call = calls.id AND response_slowest_ms >= 2000)",
  loss: "packets_lost * 50 >= packets_received + packets_lost AND packets_lost > 0",
};

/** Scripts that write no spaces: the index has their sentences as one word, so that the turns themselves are looked through. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;

/** The conditions and their parameters. */
function conditions(filters: Filters): { where: string; parameters: Cell[] } {
  const where: string[] = [];
  const parameters: Cell[] = [];
  const asked = (condition: (n: string) => string, value: string) => {
    parameters.push(value);
    where.push(condition(`?${parameters.length}`));
  };
  for (const word of filters.text.trim().split(/\s+/).filter((text) => text !== "")) {
    if (UNSPACED.test(word)) {
      const inTurns = (n: string) =>
        `EXISTS (SELECT 1 FROM turns WHERE turns.call = calls.id AND text LIKE ${n} ESCAPE '\\')`;
      asked(inTurns, `%${word.replaceAll(/[\\%_]/g, "\\$&")}%`);
      continue;
    }
    // Marks part words in the index, too: "don't" is looked for as two words that follow each other.
    const parts = word.match(/[\p{L}\p{N}]+/gu);
    if (parts === null) continue;
    asked((n) => `id IN (SELECT call FROM turns WHERE id IN (SELECT rowid FROM said_fts WHERE said_fts MATCH ${n}))`, `"${parts.join(" ")}"*`);
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
