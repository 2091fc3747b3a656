/**
 * Snapshots: a whole devnet, put aside under a name, to come back to any number of times. Owns their folder
 * `<datadir>/snapshots/<name>/`, its manifest, and copying both ways. Nodes must not run while their data is copied;
 * that is the supervisor's business, as is what is told to them afterwards.
 *
 * A snapshot is there whole or not at all: it is written beside its place and renamed. Every file is listed with its
 * SHA-256, so that what was damaged later is noticed before anything is replaced.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { SCHEMA_VERSION } from '../node/chain/schema.ts';
import { CliError, Exit } from '../node/commands/cli.ts';
import { makeFolder, replaceFile } from '../wallet/atomic-file.ts';
import { processLives } from '../wallet/devnet-file.ts';
import { checkName, isName } from '../wallet/names.ts';
import type { ChainChoice } from './chain-choice.ts';
import type { ClockSetting } from './clock-setting.ts';
import type { DevnetFolder } from './folder.ts';
import type { SlowLink } from './links.ts';
import type { Topology } from './options.ts';
import type { Sides } from './partition.ts';
import { type Manifest, manifestText, readManifest, type SavedFile } from './snapshot-manifest.ts';

const MANIFEST = 'manifest.json';
/** Below it lie the copied files, by their paths in the devnet's folder. */
const DATA = 'data';
const COPY_BYTES = 1024 * 1024;
/** True only while somebody runs: logs, cookies, locks, and files that are about to be renamed. */
const LEFT_OUT = /^(node\.log(\.\d+)?|\.cookie|LOCK|.*\.lock|.*\.tmp)$/;

/** A node as it was when the snapshot was taken. */
export interface SavedNode {
  readonly name: string;
  readonly running: boolean;
  /** Names of the nodes that it dials by itself. */
  readonly connect: readonly string[];
  readonly pex: boolean;
  readonly height: number | null;
  readonly tip: string | null;
  /** Whom it was linked with. */
  readonly peers: readonly string[];
  /** Transactions in its mempool. */
  readonly mempool: number;
}

/** What a devnet is besides its files. */
export interface SavedState {
  readonly devnet: string;
  readonly network: string;
  /** Unless it is regtest. */
  readonly chain?: ChainChoice | undefined;
  /** Hash of its first block; absent for regtest. */
  readonly genesis?: string | undefined;
  readonly seed: number;
  readonly accounts: number;
  /** Nodes that the topology speaks of; others were added later. */
  readonly baseNodes: number;
  readonly topology: Topology;
  readonly nodes: readonly SavedNode[];
  readonly sides: Sides;
  readonly links: readonly SlowLink[];
  readonly clock: ClockSetting;
}

/** One line of `devnet snapshots`. */
export interface SnapshotSummary {
  readonly name: string;
  readonly path: string;
  /** ISO 8601, UTC. */
  readonly savedAt: string;
  readonly bytes: number;
  /** Why it cannot be loaded; null if nothing is known against it. */
  readonly fault: string | null;
  readonly devnet: string | null;
  readonly nodes: number | null;
  readonly height: number | null;
}

export interface Snapshot {
  readonly name: string;
  readonly path: string;
  readonly manifest: Manifest;
}

/** `<datadir>/snapshots`. It outlives `down --purge`. */
export function snapshotsFolder(datadir: string): string {
  return join(datadir, 'snapshots');
}

/** Throws if there is one of that name already and it may not be replaced. Cheap: called before anything is stopped. */
export function checkNewSnapshot(datadir: string, name: string, force: boolean): void {
  const path = join(snapshotsFolder(datadir), checkName('snapshot', name));
  if (force || !existsSync(path)) return;
  throw new CliError(
    Exit.failed,
    'snapshot-exists',
    `there is a snapshot "${name}" already`,
    `replace it with --force, or take another name; see grapevine devnet snapshots`,
  );
}

/** Copies the data of a devnet whose nodes do not run. Nothing is left behind if that fails. */
export async function writeSnapshot(
  datadir: string,
  name: string,
  folder: DevnetFolder,
  state: SavedState,
  savedAt: Date,
): Promise<SnapshotSummary> {
  const parent = snapshotsFolder(datadir);
  const path = join(parent, checkName('snapshot', name));
  const partial = join(parent, `.${name}.${process.pid}.partial`);
  // Not with this file: the commands that read snapshots would load a whole node for it.
  const { VERSION } = await import('../node/node.ts');
  const notSaved = (error: unknown) => cannotWrite(`snapshot "${name}" was not saved`, error);
  try {
    makeFolder(parent, 0o700);
    removeLeftovers(parent, name);
    mkdirSync(partial, 0o700);
  } catch (error) {
    throw notSaved(error);
  }
  try {
    const files: SavedFile[] = [];
    for (const path of folder.dataFiles(state.nodes.map((node) => node.name))) {
      if (LEFT_OUT.test(basename(path))) continue;
      files.push({ path, ...copyFile(join(folder.path, path), join(partial, DATA, path)) });
      await breath();
    }
    const manifest = { schema: SCHEMA_VERSION, build: VERSION, savedAt: savedAt.toISOString(), state, files };
    replaceFile(join(partial, MANIFEST), manifestText(manifest));
    moveInto(partial, path);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw notSaved(error);
  }
  return summarize(parent, name);
}

/** The snapshot of that name. Throws a CliError that names it if it cannot be used. Its files are not read yet. */
export function openSnapshot(datadir: string, name: string): Snapshot {
  const path = join(snapshotsFolder(datadir), checkName('snapshot', name));
  const hint = 'see grapevine devnet snapshots';
  if (!existsSync(path)) throw new CliError(Exit.failed, 'no-snapshot', `there is no snapshot "${name}"`, hint);
  let text: string;
  try {
    text = readFileSync(join(path, MANIFEST), 'utf8');
  } catch (error) {
    throw damaged(name, `its ${MANIFEST} cannot be read (${(error as Error).message})`);
  }
  const read = readManifest(text);
  if (!read.ok) {
    if (read.error.kind === 'damaged') throw damaged(name, read.error.message);
    const message = `snapshot "${name}" ${read.error.message}`;
    throw new CliError(Exit.failed, 'snapshot-version', message, 'load it with the version that saved it');
  }
  return { name, path, manifest: read.value };
}

/**
 * Copies a snapshot's files to `into`, a new folder, checking each. Throws a CliError if one is damaged or cannot be
 * written; then `into` is gone.
 */
export async function stageSnapshot({ name, path, manifest }: Snapshot, into: string): Promise<void> {
  rmSync(into, { recursive: true, force: true });
  try {
    makeFolder(into, 0o700);
    for (const { path: file, bytes, sha256 } of manifest.files) {
      const source = join(path, DATA, file);
      if (!existsSync(source)) throw damaged(name, `its file ${file} is missing`);
      const copied = copyFile(source, join(into, file));
      if (copied.bytes !== bytes || copied.sha256 !== sha256) throw damaged(name, `its file ${file} has changed`);
      await breath();
    }
  } catch (error) {
    rmSync(into, { recursive: true, force: true });
    throw error instanceof CliError ? error : cannotWrite(`snapshot "${name}" was not loaded`, error);
  }
}

/** All snapshots by name, also those that cannot be loaded. */
export function listSnapshots(datadir: string): SnapshotSummary[] {
  const parent = snapshotsFolder(datadir);
  if (!existsSync(parent)) return [];
  const names = readdirSync(parent).filter((name) => isName(name) && statSync(join(parent, name)).isDirectory());
  return names.sort().map((name) => summarize(parent, name));
}

function summarize(parent: string, name: string): SnapshotSummary {
  const path = join(parent, name);
  try {
    const { manifest } = openSnapshot(dirname(parent), name);
    const { state, savedAt, files } = manifest;
    const heights = state.nodes.flatMap(({ height }) => (height === null ? [] : [height]));
    return {
      name,
      path,
      savedAt,
      bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      fault: null,
      devnet: state.devnet,
      nodes: state.nodes.length,
      height: heights.length === 0 ? null : Math.max(...heights),
    };
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    const savedAt = statSync(path).mtime.toISOString();
    return { name, path, savedAt, bytes: 0, fault: error.message, devnet: null, nodes: null, height: null };
  }
}

/** Renames, in place of what is there: that is put aside first and put back if the renaming fails. */
function moveInto(from: string, to: string): void {
  const old = `${from}.old`;
  const replaces = existsSync(to);
  if (replaces) renameSync(to, old);
  try {
    renameSync(from, to);
  } catch (error) {
    if (replaces) renameSync(old, to);
    throw error;
  }
  rmSync(old, { recursive: true, force: true });
}

/** What a process that was killed while it saved has left. */
function removeLeftovers(parent: string, name: string): void {
  for (const entry of readdirSync(parent)) {
    const [, of, pid] = /^\.(.+)\.(\d+)\.partial(?:\.old)?$/.exec(entry) ?? [];
    const isOurs = of === name && (Number(pid) === process.pid || !processLives(Number(pid)));
    if (!isOurs) continue;
    // It was killed between two renames: the one that was to be replaced is all there is.
    if (entry.endsWith('.old') && !existsSync(join(parent, name))) renameSync(join(parent, entry), join(parent, name));
    else rmSync(join(parent, entry), { recursive: true, force: true });
  }
}

function copyFile(from: string, to: string): { bytes: number; sha256: string } {
  makeFolder(dirname(to), 0o700);
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(COPY_BYTES);
  let bytes = 0;
  const source = openSync(from, 'r');
  try {
    const target = openSync(to, 'w', 0o600);
    try {
      for (let read = readSync(source, buffer); read > 0; read = readSync(source, buffer)) {
        const piece = buffer.subarray(0, read);
        hash.update(piece);
        for (let at = 0; at < read; ) at += writeSync(target, piece, at);
        bytes += read;
      }
    } finally {
      closeSync(target);
    }
  } finally {
    closeSync(source);
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** Between two files: whoever else calls the supervisor is answered. */
function breath(): Promise<void> {
  return new Promise((go) => setImmediate(go));
}

function damaged(name: string, why: string): CliError {
  const hint = 'save it anew with --force, or remove its folder; see grapevine devnet snapshots';
  return new CliError(Exit.failed, 'snapshot-damaged', `snapshot "${name}" is damaged or unfinished: ${why}`, hint);
}

function cannotWrite(what: string, error: unknown): CliError {
  if (error instanceof CliError && error.code !== 'not-writable') return error;
  const hint = 'make room or choose another --datadir; nothing half-written is left';
  return new CliError(Exit.failed, 'not-writable', `${what}: ${(error as Error).message}`, hint);
}
