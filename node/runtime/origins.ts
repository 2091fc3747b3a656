/**
 * Which pages may be peers. A page in a browser always names its origin; without this check any page on the internet could
 * use the nodes in its visitor's house.
 */
export class Origins {
  readonly #allowed: ReadonlySet<string>;

  /** Beside the pages of this machine, which always may. As browsers write them: `https://host[:port]` in lower case. */
  constructor(allowed: readonly string[]) {
    this.#allowed = new Set(allowed);
  }

  allow(origin: string | undefined): boolean {
    if (origin === undefined || this.#allowed.has(origin)) return true;
    const hostname = readUrl(origin)?.hostname;
    if (hostname === undefined) return false;
    return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
  }
}

/**
 * Undefined for what is no URL. Not by URL.canParse: in Node 20.20, once it is called so often that it is compiled, it
 * takes a text with characters from 128 to 255 for UTF-8, and says yes to some that are no URL.
 */
export function readUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
