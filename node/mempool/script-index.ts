/** Which pool transactions pay to or spend from a script. */
import { scriptHash } from '../../consensus/address.ts';
import type { Bytes, ScriptHash } from '../../consensus/brand.ts';
import type { Entry } from './entry.ts';

export class ScriptIndex {
  /** Most scripts occur in one transaction: a set is made for the second. */
  readonly #entries = new Map<ScriptHash, Entry | Set<Entry>>();

  /** In the order in which they were added. */
  get(hash: ScriptHash): readonly Entry[] {
    const found = this.#entries.get(hash);
    return found === undefined ? [] : found instanceof Set ? [...found] : [found];
  }

  add(entry: Entry): void {
    for (const script of scriptsOf(entry)) {
      const hash = scriptHash(script);
      const found = this.#entries.get(hash);
      if (found === undefined) this.#entries.set(hash, entry);
      else if (found instanceof Set) found.add(entry);
      else if (found !== entry) this.#entries.set(hash, new Set([found, entry]));
    }
  }

  delete(entry: Entry): void {
    for (const script of scriptsOf(entry)) {
      const hash = scriptHash(script);
      const found = this.#entries.get(hash);
      if (found === entry) this.#entries.delete(hash);
      if (!(found instanceof Set)) continue;
      found.delete(entry);
      if (found.size === 0) this.#entries.delete(hash);
    }
  }
}

/** A script may come several times. */
function* scriptsOf({ tx, coins }: Entry): Generator<Bytes, void> {
  for (const { scriptPubKey } of coins) yield scriptPubKey;
  for (const { scriptPubKey } of tx.outputs) yield scriptPubKey;
}
