/**
 * The folder of one devnet, `<datadir>/devnet/<name>`: who runs it, what it was started with, and where its nodes,
 * wallets and logs lie. Owns the names of the files and the rule by which only one process runs a devnet.
 *
 *   supervisor.json   the running process, from its first moment to its last
 *   devnet.json       what other commands read; there while the devnet is ready (wallet/devnet-file.ts)
 *   shape.json        what the stored chain was made for
 *   clock.json        the time that the nodes are shown, unless it is the real one
 *   chain.json        the chain file, where the network is no built-in one
 *   n0, n1, …         a node's data and its log
 *   wallets           one plain wallet file per account
 *   supervisor.log    the supervisor's own log when it is detached
 *   loaded.json       what the next start must know of a snapshot that was put here
 *   loading           a snapshot on its way here
 */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { CliError, Exit } from '../node/commands/cli.ts';
import { createFile, makeFolder, replaceFile } from '../wallet/atomic-file.ts';
import { DEFAULT_DEVNET, devnetFilePath, devnetFolder, processLives } from '../wallet/devnet-file.ts';
import { isName } from '../wallet/names.ts';
import { type ClockSetting, REAL_CLOCK, readClockSetting } from './clock-setting.ts';
import { type ControlAddress, ControlGone, callControl } from './control.ts';
import { logFiles } from './rotating-log.ts';
import type { SavedState } from './snapshots.ts';

/** The process that runs a devnet. */
export interface Owner {
  readonly pid: number;
  readonly control: ControlAddress;
}

/** What the stored chain depends on. A devnet of another shape cannot go on with it. */
export interface Shape {
  readonly schema: 1;
  readonly network: string;
  readonly seed: number;
  readonly nodes: number;
  readonly accounts: number;
  /** Hash of the network's first block; absent for regtest. */
  readonly genesis?: string | undefined;
}

/** A supervisor that lives but does not say so within this time hangs. */
const ANSWER_TIMEOUT_MS = 5000;
/** Nodes of a supervisor that was killed end by themselves within this time. */
const ORPHAN_TIMEOUT_MS = 5000;
const WALLETS = 'wallets';
const NODE_FOLDER = /^n\d+$/;

export class DevnetFolder {
  readonly path: string;
  readonly name: string;
  /** devnet.json. */
  readonly devnetFile: string;
  readonly supervisorLog: string;
  /** The copy of the chain file. */
  readonly chainFile: string;
  /** Where a snapshot is copied to before it replaces what is here. */
  readonly stage: string;
  readonly #loadedFile: string;
  readonly #ownerFile: string;
  readonly #shapeFile: string;
  readonly #clockFile: string;

  constructor(datadir: string, name: string) {
    this.name = name;
    this.path = devnetFolder(datadir, name);
    this.devnetFile = devnetFilePath(datadir, name);
    this.chainFile = join(this.path, 'chain.json');
    this.supervisorLog = join(this.path, 'supervisor.log');
    this.stage = join(this.path, 'loading');
    this.#loadedFile = join(this.path, 'loaded.json');
    this.#ownerFile = join(this.path, 'supervisor.json');
    this.#shapeFile = join(this.path, 'shape.json');
    this.#clockFile = join(this.path, 'clock.json');
  }

  nodeDatadir(node: string): string {
    return join(this.path, node);
  }

  nodeLog(node: string): string {
    return join(this.path, node, 'node.log');
  }

  /** The nodes that have a folder here, also those of a stopped devnet. */
  nodeNames(): string[] {
    if (!this.exists) return [];
    const names = readdirSync(this.path).filter((name) => NODE_FOLDER.test(name));
    return names.sort((a, b) => Number(a.slice(1)) - Number(b.slice(1)));
  }

  get exists(): boolean {
    return existsSync(this.path);
  }

  /** Makes the folder, so that logs have a place before anything else is there. */
  make(): void {
    try {
      makeFolder(this.path, 0o700);
    } catch (error) {
      throw new CliError(
        Exit.failed,
        'datadir-not-writable',
        `cannot write to ${this.path}: ${(error as Error).message}`,
        'choose another folder with --datadir',
      );
    }
  }

  /** A cheap look: a process of the number that is written down exists. `owner` makes sure. */
  get seemsOwned(): boolean {
    const owner = this.#readOwner();
    return owner !== undefined && processLives(owner.pid);
  }

  /**
   * The process that runs this devnet, or undefined. Its number alone proves nothing, since another program may have
   * got it by now; so it must answer to its token too. Throws if it lives and is silent.
   */
  async owner(): Promise<Owner | undefined> {
    const owner = this.#readOwner();
    if (owner === undefined || !processLives(owner.pid)) return undefined;
    try {
      await callControl(owner.control, 'ping', {}, ANSWER_TIMEOUT_MS);
      return owner;
    } catch (error) {
      if (error instanceof ControlGone) return undefined;
      throw new CliError(
        Exit.failed,
        'devnet-hangs',
        `devnet "${this.name}" runs (process ${owner.pid}) but does not answer`,
        `end that process, then try again; its log is ${this.supervisorLog}`,
      );
    }
  }

  /** Makes `owner` the one process that runs this devnet. False if another one was faster. */
  claim(owner: Owner): boolean {
    return createFile(this.#ownerFile, `${JSON.stringify(owner)}\n`);
  }

  /** Forgets the process that ran this devnet, and with it everything that is true only while it runs. */
  release(): void {
    rmSync(this.devnetFile, { force: true });
    rmSync(this.#ownerFile, { force: true });
  }

  /**
   * Cleans up behind a supervisor that was killed. Its nodes notice that and end by themselves: this waits for them,
   * so that their data is free. True if there was something to clean.
   */
  async releaseStale(): Promise<boolean> {
    if (!existsSync(this.#ownerFile) && !existsSync(this.devnetFile)) return false;
    const left = readJson(this.devnetFile) as { nodes?: readonly { pid: number | null }[] } | undefined;
    const pids = (left?.nodes ?? []).flatMap(({ pid }) => (pid === null ? [] : [pid]));
    const giveUp = Date.now() + ORPHAN_TIMEOUT_MS;
    while (pids.some(processLives) && Date.now() < giveUp) await new Promise((wake) => setTimeout(wake, 50));
    rmSync(this.stage, { recursive: true, force: true });
    this.release();
    return true;
  }

  /** What the stored chain was made for; undefined if there is none, or none that this version can read. */
  readShape(): Shape | undefined {
    const shape = readJson(this.#shapeFile) as Shape | undefined;
    return shape?.schema === 1 ? shape : undefined;
  }

  writeShape(shape: Shape): void {
    replaceFile(this.#shapeFile, `${JSON.stringify(shape)}\n`);
  }

  /** Undefined where the network is a built-in one. */
  writeChain(text: string | undefined): void {
    if (text === undefined) rmSync(this.chainFile, { force: true });
    else replaceFile(this.chainFile, text);
  }

  readClock(): ClockSetting {
    return readClockSetting(readJson(this.#clockFile)) ?? REAL_CLOCK;
  }

  writeClock(setting: ClockSetting): void {
    if (setting.kind === 'real') rmSync(this.#clockFile, { force: true });
    else replaceFile(this.#clockFile, `${JSON.stringify(setting)}\n`);
  }

  /** The files of these nodes and of the wallets, as paths from here with `/`, in a fixed order. */
  dataFiles(nodes: readonly string[]): string[] {
    return [...nodes, WALLETS].flatMap((name) => {
      const folder = join(this.path, name);
      if (!existsSync(folder)) return [];
      return readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => relative(this.path, join(entry.parentPath, entry.name)).split(sep).join('/'))
        .sort();
    });
  }

  /** Puts what is staged in the place of what is here. The nodes' logs stay. Only while no node runs. */
  adoptStage(): void {
    for (const node of this.nodeNames()) {
      const staged = join(this.stage, node);
      if (!existsSync(staged)) continue;
      for (const log of logFiles(this.nodeLog(node))) {
        if (existsSync(log)) renameSync(log, join(staged, basename(log)));
      }
    }
    this.clear();
    for (const entry of readdirSync(this.stage)) renameSync(join(this.stage, entry), join(this.path, entry));
    rmSync(this.stage, { recursive: true, force: true });
  }

  /** Of a snapshot that was put here since the last start; undefined if there is none. */
  readLoaded(): SavedState | undefined {
    return readJson(this.#loadedFile) as SavedState | undefined;
  }

  writeLoaded(state: SavedState): void {
    replaceFile(this.#loadedFile, `${JSON.stringify(state)}\n`);
  }

  forgetLoaded(): void {
    rmSync(this.#loadedFile, { force: true });
  }

  /** Removes the chain: nodes, wallets and what they were made for. Only for whoever owns the folder. */
  clear(): void {
    rmSync(this.#shapeFile, { force: true });
    rmSync(this.#clockFile, { force: true });
    rmSync(this.chainFile, { force: true });
    this.forgetLoaded();
    for (const entry of readdirSync(this.path)) {
      if (entry !== WALLETS && !NODE_FOLDER.test(entry)) continue;
      rmSync(join(this.path, entry), { recursive: true, force: true });
    }
  }

  #readOwner(): Owner | undefined {
    return readJson(this.#ownerFile) as Owner | undefined;
  }

  /** Removes the folder with everything in it. Only while nobody runs the devnet. */
  purge(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Names of the devnets below a data directory whose process seems to live, also of one that is just starting. */
export function listOwned(datadir: string): string[] {
  const parent = dirname(devnetFolder(datadir, DEFAULT_DEVNET));
  if (!existsSync(parent)) return [];
  return readdirSync(parent)
    .filter((name) => isName(name) && new DevnetFolder(datadir, name).seemsOwned)
    .sort();
}

/** The content of a small file of ours, or undefined where it is missing or was cut off by a crash. */
function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (error instanceof SyntaxError || code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new CliError(Exit.failed, 'datadir-unreadable', `cannot read ${path}: ${(error as Error).message}`);
  }
}
