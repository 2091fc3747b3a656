/** The manifest of a snapshot: what it is of, and every file of it. Pure: its text, written and read. */
import { fail, ok, type Result } from '../consensus/brand.ts';
import { SCHEMA_VERSION } from '../node/chain/schema.ts';
import type { SavedState } from './snapshots.ts';

/** Grows when an older program could no longer load what is written. */
export const SNAPSHOT_FORMAT = 1;

export interface SavedFile {
  /** From the devnet's folder, with `/`. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface Manifest {
  /** Of the nodes' stores. */
  readonly schema: number;
  /** The version of Grapevine that saved it. */
  readonly build: string;
  readonly savedAt: string;
  readonly state: SavedState;
  readonly files: readonly SavedFile[];
}

/** `message` follows the snapshot's name. */
export interface ManifestFault {
  readonly kind: 'damaged' | 'version';
  readonly message: string;
}

export function manifestText(manifest: Manifest): string {
  return `${JSON.stringify({ format: SNAPSHOT_FORMAT, ...manifest }, null, 1)}\n`;
}

export function readManifest(text: string): Result<Manifest, ManifestFault> {
  const broken = (message: string) => fail<ManifestFault>({ kind: 'damaged', message });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return broken('its manifest is cut off or no JSON');
  }
  if (!isRecord(value)) return broken('its manifest is no object');
  const { format, build, schema } = value;
  const by = typeof build === 'string' ? ` by version ${build}` : '';
  if (format !== SNAPSHOT_FORMAT) {
    return fail({
      kind: 'version',
      message: `was saved${by} in format ${String(format)}; this version reads format ${SNAPSHOT_FORMAT}`,
    });
  }
  if (schema !== SCHEMA_VERSION) {
    return fail({
      kind: 'version',
      message: `was saved${by} with stores of schema ${String(schema)}; this version reads schema ${SCHEMA_VERSION}`,
    });
  }
  const { state, files, savedAt } = value;
  if (!isState(state) || typeof savedAt !== 'string') return broken('its manifest lacks what it is of');
  if (!Array.isArray(files) || !files.every(isFile)) return broken('its manifest lacks the list of files');
  return ok({ schema: SCHEMA_VERSION, build: String(build), savedAt, state, files });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isState(value: unknown): value is SavedState {
  if (!isRecord(value)) return false;
  const texts = [value['devnet'], value['network']];
  const numbers = [value['seed'], value['accounts'], value['baseNodes']];
  const lists = [value['nodes'], value['sides'], value['links']];
  return (
    texts.every((text) => typeof text === 'string') &&
    numbers.every(Number.isSafeInteger) &&
    lists.every(Array.isArray) &&
    isRecord(value['topology']) &&
    isRecord(value['clock']) &&
    isChain(value['chain'], value['genesis']) &&
    (value['nodes'] as unknown[]).every(isNode)
  );
}

/** Both are absent for regtest. */
function isChain(chain: unknown, genesis: unknown): boolean {
  if (chain === undefined) return genesis === undefined;
  if (!isRecord(chain) || typeof chain['network'] !== 'string' || typeof genesis !== 'string') return false;
  return chain['file'] === undefined || typeof chain['file'] === 'string';
}

function isNode(value: unknown): boolean {
  return (
    isRecord(value) &&
    typeof value['name'] === 'string' &&
    /^n\d+$/.test(value['name']) &&
    typeof value['running'] === 'boolean' &&
    typeof value['pex'] === 'boolean' &&
    Array.isArray(value['connect']) &&
    Array.isArray(value['peers']) &&
    typeof value['mempool'] === 'number'
  );
}

/** Its path stays below the folder: a manifest that was tampered with must not reach other files. */
function isFile(value: unknown): value is SavedFile {
  if (!isRecord(value)) return false;
  const { path, bytes, sha256 } = value;
  const isInside =
    typeof path === 'string' && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
  return isInside && Number.isSafeInteger(bytes) && typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256);
}
