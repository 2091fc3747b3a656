import { parseUrl } from '../../consensus/parse-url.ts';

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
    const hostname = parseUrl(origin)?.hostname;
    if (hostname === undefined) return false;
    return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
  }
}
