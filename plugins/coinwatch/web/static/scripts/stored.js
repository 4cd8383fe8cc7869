// Choices kept in the browser. Without storage (private windows, blocked cookies) they last until the page is left.

/** The stored value of a name, or the default. */
export function load(name, otherwise) {
  try {
    const text = localStorage.getItem(`coinwatch.${name}`);
    return text === null ? otherwise : JSON.parse(text);
  } catch {
    return otherwise;
  }
}

/** Stores a value that can be written as JSON. */
export function save(name, value) {
  try { localStorage.setItem(`coinwatch.${name}`, JSON.stringify(value)); } catch { /* not kept */ }
}
