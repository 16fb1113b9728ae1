// The little that the views need to make and find elements.

export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`index.html has no ${type.name} called ${id}`);
  return found;
}

type Child = Node | string | null;

/** An element with a class and children; text is set as text, never as markup. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children.filter((child): child is Node | string => child !== null));
  return made;
}

/** A key as it is printed on the keyboard, beside the button that it works. */
export function key(name: string): HTMLElement {
  const made = el("kbd", "", name);
  made.ariaHidden = "true";
  return made;
}

/** Minutes and seconds. */
export function clock(ms: number): string {
  const seconds = Math.floor(Math.max(0, ms) / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
