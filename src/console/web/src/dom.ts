// The page's elements by id, checked once.

export function byId<T extends HTMLElement>(id: string, kind: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`the page has no ${kind.name} #${id}`);
  return element;
}

export const input = (id: string) => byId(id, HTMLInputElement);
export const button = (id: string) => byId(id, HTMLButtonElement);
export const area = (id: string) => byId(id, HTMLTextAreaElement);
export const block = (id: string) => byId(id, HTMLElement);

// Says it once: setting the same text again would make a screen reader repeat it.
export function say(element: HTMLElement, text: string) {
  if (element.textContent !== text) element.textContent = text;
}
