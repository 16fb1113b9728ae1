// Who is calling, as far as the caller wants it known: an identity of this browser's own, made up at random, that nobody can
// guess. It exists only after it was asked for, and goes when it is taken back.

const KEY = "duologue.caller";

/** What of `Storage` is needed here. */
export type Shelf = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** The identity that calls are made with; null: as nobody. A name in the address (`?caller=`) goes before the browser's own. */
export function callerOf(query: URLSearchParams, shelf: Shelf): string | null {
  return query.get("caller") || shelf.getItem(KEY);
}

/** Calls from this browser are known again from now on. */
export function beKnown(shelf: Shelf, random: () => string): string {
  const known = shelf.getItem(KEY);
  if (known !== null) return known;
  const made = `browser-${random()}`;
  shelf.setItem(KEY, made);
  return made;
}

/** Calls are made as nobody from now on; the identity that was, for the server to forget. */
export function beNobody(shelf: Shelf): string | null {
  const known = shelf.getItem(KEY);
  shelf.removeItem(KEY);
  return known;
}
