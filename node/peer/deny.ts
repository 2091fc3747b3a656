/**
 * Which nodes this one refuses to be linked with: how a devnet is partitioned. Endpoints keep it from dialling, names
 * keep it from accepting, because the port from which a node dials says nothing about it. DESIGN.md section 4.
 */
import type { Endpoint } from '../boundary.ts';
import { formatEndpoint, parseEndpoint } from '../wire/ip.ts';

export class DenyRules {
  #names: ReadonlySet<string> = new Set();
  #endpoints: ReadonlySet<string> = new Set();

  /** Replaces all rules. Names of devnet nodes; endpoints as `host:port`. */
  set(rules: { readonly names: readonly string[]; readonly endpoints: readonly string[] }): void {
    this.#names = new Set(rules.names);
    this.#endpoints = new Set(
      rules.endpoints.map((text) => {
        const endpoint = parseEndpoint(text);
        return endpoint === undefined ? text : formatEndpoint(endpoint);
      }),
    );
  }

  /** True if the user agent carries the comment `devnet:NAME` with a denied name. */
  deniesName(userAgent: string): boolean {
    const name = devnetName(userAgent);
    return name !== undefined && this.#names.has(name);
  }

  deniesEndpoint(endpoint: Endpoint): boolean {
    return this.#endpoints.size > 0 && this.#endpoints.has(formatEndpoint(endpoint));
  }
}

/** The name that a devnet node gives itself: `/Grapevine:0.1.0(devnet:n1)/` is n1. BIP 14 separates comments by `; `. */
export function devnetName(userAgent: string): string | undefined {
  return /[(;] ?devnet:([A-Za-z0-9._-]+)(?=[;)])/.exec(userAgent)?.[1];
}
