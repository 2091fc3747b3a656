/**
 * The URL that a text spells; undefined where it spells none. Not by `URL.canParse`, which in Node.js 20 says yes to some
 * texts with letters beyond ASCII of which `URL` then throws: one header of a stranger would end the node.
 */
export function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
