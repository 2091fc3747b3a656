/**
 * Links that are to be slow: by the devnet name of the peer, because its address says nothing about who dials. The rules
 * outlive links and are forgotten when the process ends. How a slow line behaves is in slow-line.ts.
 */
import type { LinkShape } from '../boundary.ts';
import { devnetName } from './deny.ts';

export interface LinkRule extends LinkShape {
  /** Name of a devnet node. */
  readonly name: string;
}

export class LinkRules {
  #shapes: ReadonlyMap<string, LinkShape> = new Map();

  /** Replaces all rules. */
  set(rules: readonly LinkRule[]): void {
    this.#shapes = new Map(rules.map(({ name, ...shape }) => [name, shape]));
  }

  /** How to send to a peer with that user agent; undefined: as fast as it goes. */
  shapeFor(userAgent: string): LinkShape | undefined {
    if (this.#shapes.size === 0) return undefined;
    const name = devnetName(userAgent);
    return name === undefined ? undefined : this.#shapes.get(name);
  }
}
