/** `grapevine devnet save`, `load` and `snapshots`. What they do is in snapshot-operations.ts and snapshots.ts. */
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { CliError, Exit, type GlobalOptions, note, printResult, usageError } from '../node/commands/cli.ts';
import { formatTable } from '../node/commands/table.ts';
import { DEFAULT_DEVNET } from '../wallet/devnet-file.ts';
import type { ChainChoice } from './chain-choice.ts';
import { ControlServer } from './control.ts';
import type { DevnetFolder } from './folder.ts';
import type { DevnetOptions, OptionTexts } from './options.ts';
import { call, callOwner, chooseFolder, folderOf, type NameOption, named, nameFlag, optionsOf } from './reach.ts';
import type { LoadResult } from './snapshot-operations.ts';
import type { SnapshotSummary } from './snapshots.ts';

const SAVE_EXAMPLES = `
Examples:
  $ grapevine devnet save before-fork
  $ grapevine devnet save before-fork --force      replaces the one of that name

It holds blocks, mempools, the clock, accounts and wallets, the partition and the slow links. The nodes are stopped for
it and started again. Snapshots outlive "devnet down --purge".`;

const LOAD_EXAMPLES = `
Examples:
  $ grapevine devnet load before-fork              into the running devnet, as often as you like
  $ grapevine devnet up --load before-fork         starts a devnet from it`;

/** Copying takes longer than other calls. */
const COPY_TIMEOUT_MS = 600_000;

export function addSnapshotCommands(devnet: Command): void {
  named(devnet.command('save'), 'put the whole devnet aside under a name')
    .argument('<snapshot>', 'the name to load it by')
    .option('--force', 'replace the snapshot of that name')
    .addHelpText('after', SAVE_EXAMPLES)
    .action((name: string, parsed: NameOption & { readonly force?: boolean }, self: Command) =>
      save(name, parsed.force === true, parsed, optionsOf(self)),
    );
  named(devnet.command('load'), 'put a snapshot in the place of the devnet, running or stopped')
    .argument('<snapshot>', 'its name: see "grapevine devnet snapshots"')
    .addHelpText('after', LOAD_EXAMPLES)
    .action((name: string, parsed: NameOption, self: Command) => load(name, parsed, optionsOf(self)));
  devnet
    .command('snapshots')
    .description('list the snapshots with their size and date')
    .action((_parsed: unknown, self: Command) => snapshots(optionsOf(self)));
}

async function save(name: string, force: boolean, parsed: NameOption, global: GlobalOptions): Promise<void> {
  const result = await call(parsed, global, 'save', { snapshot: name, force }, COPY_TIMEOUT_MS);
  printResult(global, result, () => {
    const what = `${result.nodes} nodes at block ${result.height ?? 'unknown'}, ${sizeText(result.bytes)}`;
    return `saved "${name}": ${what}; come back to it: grapevine devnet load ${name}${nameFlag(parsed.name ?? DEFAULT_DEVNET)}`;
  });
}

async function load(name: string, parsed: NameOption, global: GlobalOptions): Promise<void> {
  const datadir = resolve(global.datadir);
  const { openSnapshot } = await import('./snapshots.ts');
  // Whatever is wrong with it is said before anything else.
  const snapshot = openSnapshot(datadir, name);
  let folder = chooseFolder(parsed, global);
  let owner = await folder.owner();
  if (owner === undefined && parsed.name === undefined) {
    folder = folderOf(snapshot.manifest.state.devnet, global);
    owner = await folder.owner();
  }
  if (owner !== undefined) {
    const result = await callOwner(folder, owner, 'load', { snapshot: name }, COPY_TIMEOUT_MS);
    printResult(global, { ...result, running: true }, () => describeLoaded(result));
    return;
  }
  if (await folder.releaseStale()) note(global, `devnet "${folder.name}" had been killed; cleaned up`);
  await claimed(folder, async () => {
    const { restoreStopped } = await import('./snapshot-operations.ts');
    await restoreStopped(snapshot, folder, () => false);
  });
  const { state, savedAt } = snapshot.manifest;
  const up = `grapevine devnet up${nameFlag(folder.name)}`;
  printResult(
    global,
    { name, savedAt, nodes: state.nodes, running: false, up },
    `snapshot "${name}" is in place; start the devnet: ${up}`,
  );
}

/** Does it while this process is the one that runs the devnet, so that nobody starts it meanwhile. */
async function claimed(folder: DevnetFolder, work: () => Promise<void>): Promise<void> {
  folder.make();
  const busy = new CliError(Exit.failed, 'devnet-loading', `devnet "${folder.name}" is loading`, 'try again soon');
  const control = await ControlServer.listen(randomBytes(32).toString('hex'), async (method) => {
    if (method === 'ping') return { name: folder.name };
    throw busy;
  });
  try {
    if (!folder.claim({ pid: process.pid, control: control.address })) {
      throw new CliError(Exit.failed, 'devnet-running', `devnet "${folder.name}" is being started`, 'try again soon');
    }
    try {
      await work();
    } finally {
      folder.release();
    }
  } finally {
    await control.close();
  }
}

async function snapshots(global: GlobalOptions): Promise<void> {
  const { listSnapshots } = await import('./snapshots.ts');
  const found = listSnapshots(resolve(global.datadir));
  printResult(global, found, () =>
    found.length === 0
      ? 'There are no snapshots. Take one: grapevine devnet save NAME'
      : formatTable(['NAME', 'SAVED', 'SIZE', 'DEVNET', 'NODES', 'HEIGHT', ''], found.map(describeSummary)),
  );
}

function describeSummary({ name, savedAt, bytes, devnet, nodes, height, fault }: SnapshotSummary): string[] {
  const saved = `${savedAt.slice(0, 10)} ${savedAt.slice(11, 19)}`;
  const size = fault === null ? sizeText(bytes) : '-';
  return [name, saved, size, devnet ?? '-', String(nodes ?? '-'), String(height ?? '-'), fault ?? ''];
}

function describeLoaded({ name, savedAt, nodes }: LoadResult): string {
  const states = nodes.map((node) => `${node.name} ${node.height === undefined ? node.state : `at ${node.height}`}`);
  return `loaded "${name}" of ${savedAt}: ${states.join(', ')}`;
}

function sizeText(bytes: number): string {
  if (bytes < 1_000_000) return `${Math.ceil(bytes / 1000)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** What a snapshot decides of the options of `up`. */
export interface SnapshotChoice {
  readonly texts: Pick<OptionTexts, 'nodes' | 'accounts' | 'seed'>;
  readonly fixed: Pick<DevnetOptions, 'load' | 'topology'>;
  readonly chain: ChainChoice | undefined;
}

/**
 * The options of `up` where it begins with a snapshot: one that is named, or one that was loaded into the stopped devnet.
 * Undefined without one. Throws a usage error where an option was given that the snapshot decides.
 */
export async function optionsOfSnapshot(
  folder: DevnetFolder,
  datadir: string,
  given: Readonly<Record<string, unknown>> & { readonly load?: string },
): Promise<SnapshotChoice | undefined> {
  const { load } = given;
  const state =
    load === undefined
      ? folder.readLoaded()
      : (await import('./snapshots.ts')).openSnapshot(datadir, load).manifest.state;
  if (state === undefined) return undefined;
  for (const option of ['nodes', 'topology', 'accounts', 'seed', 'network', 'chain']) {
    if (given[option] === undefined) continue;
    if (load !== undefined) {
      throw usageError(`--load and --${option} exclude each other`, `the snapshot decides: leave out --${option}`);
    }
    const hint = `leave it out, or begin anew: grapevine devnet down --purge${nameFlag(folder.name)}`;
    throw usageError(`--${option}: a snapshot was loaded into devnet "${folder.name}" and decides that`, hint);
  }
  const { baseNodes, accounts, seed, topology } = state;
  return {
    texts: { nodes: String(baseNodes), accounts: String(accounts), seed: String(seed) },
    fixed: { load, topology },
    chain: state.chain,
  };
}
