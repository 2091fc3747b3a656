/**
 * Finds named parameters that a request gives twice. JSON.parse silently keeps the last one, so the text is read again;
 * this happens only for requests with named parameters. The text is known to be valid JSON.
 */

interface Level {
  /** Names seen in this object; undefined for an array. */
  readonly names: Set<string> | undefined;
  /** The name whose value is being read. */
  name: string | undefined;
  /** A string here would be a name. */
  expectName: boolean;
}

/** The first repeated name in the `params` of each request, by the request's place in the batch (0 for a single one). */
export function repeatedParameters(text: string): ReadonlyMap<number, string> {
  const repeated = new Map<number, string>();
  const levels: Level[] = [];
  let request = 0;
  // What opens, closes and separates. Colons, numbers and words say nothing here.
  const tokens = /["{}[\],]/g;
  for (let match = tokens.exec(text); match !== null; match = tokens.exec(text)) {
    const level = levels.at(-1);
    switch (match[0]) {
      case '{':
      case '[': {
        const isObject = match[0] === '{';
        levels.push({ names: isObject ? new Set() : undefined, name: undefined, expectName: isObject });
        break;
      }
      case '}':
      case ']':
        levels.pop();
        break;
      case ',':
        if (level !== undefined) level.expectName = level.names !== undefined;
        if (levels.length === 1 && level?.names === undefined) request += 1;
        break;
      default: {
        // A string: one expression for all of it would overflow the stack of the matcher on a block of some megabytes.
        const end = endOfString(text, match.index);
        tokens.lastIndex = end;
        if (level?.names === undefined || !level.expectName) break;
        level.expectName = false;
        level.name = JSON.parse(text.slice(match.index, end)) as string;
        if (level.names.has(level.name) && isParams(levels) && !repeated.has(request))
          repeated.set(request, level.name);
        level.names.add(level.name);
      }
    }
  }
  return repeated;
}

/** The place behind the quote that ends the string which begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1); ; quote = text.indexOf('"', quote + 1)) {
    let backslashes = 0;
    while (text[quote - 1 - backslashes] === '\\') backslashes += 1;
    if (backslashes % 2 === 0) return quote + 1;
  }
}

/** The innermost level is the `params` object of a request: `{"params":{…}}` or `[{"params":{…}}]`. */
function isParams(levels: readonly Level[]): boolean {
  const depth = levels[0]?.names === undefined ? 3 : 2;
  return levels.length === depth && levels[depth - 2]?.name === 'params';
}
