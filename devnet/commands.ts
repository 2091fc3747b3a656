/**
 * `grapevine devnet …`: the commands, their options and what they print. Running a devnet is in host.ts and
 * supervisor.ts; every command but `up` talks to the process behind it through control.ts.
 */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { type ChainParams, networkByName } from '../consensus/params.ts';
import { type GlobalOptions, note, printResult, toJson } from '../node/commands/cli.ts';
import { DEFAULT_DEVNET } from '../wallet/devnet-file.ts';
import { choiceOf } from './chain-choice.ts';
import { listOwned } from './folder.ts';
import { addLinkCommand } from './link-commands.ts';
import { addLiveCommands } from './live-commands.ts';
import { type OptionTexts, readOptions, readSides } from './options.ts';
import { call, callOwner, folderOf, type NameOption, named, nameFlag, notRunning, optionsOf } from './reach.ts';
import { addSnapshotCommands, optionsOfSnapshot } from './snapshot-commands.ts';
import type { DevnetStatus, NodeStatus } from './status.ts';
import { addTraceCommand } from './trace-commands.ts';

const UP_EXAMPLES = `
Examples:
  $ grapevine devnet up                                  4 nodes, 10 accounts, a block every 5 s; Ctrl-C stops it
  $ grapevine devnet up -d --on-tx                       in the background, a block for every payment
  $ grapevine devnet up -n 6 --topology ring --no-mine   6 nodes in a ring; blocks by "grapevine mine" only
  $ grapevine devnet up --topology file:mine.json        the links of a file (see devnet topology --help)
  $ grapevine devnet up --name two --seed 7              a second one beside it, with other accounts
  $ grapevine devnet up --network vinenet --miner n0=60,n1=30,n2=10
                                                         blocks that cost work, found in these proportions

A devnet that was stopped goes on where it was if network, seed, nodes and accounts are the same; otherwise it begins anew.`;

const EXAMPLES = `
Examples:
  $ grapevine devnet up -d
  $ grapevine devnet kill n1
  $ grapevine devnet restart n1
  $ grapevine devnet partition n0,n1 / n2,n3
  $ grapevine devnet heal
  $ grapevine devnet faucet bob 2btc --wait
  $ grapevine devnet reorg --depth 2
  $ grapevine devnet time +1h
  $ grapevine devnet logs -f
  $ grapevine devnet down --purge`;

interface UpParsed extends NameOption {
  readonly nodes?: string;
  readonly topology?: string;
  readonly accounts?: string;
  readonly blockTime?: string;
  readonly onTx?: boolean;
  readonly mine: boolean;
  readonly miner?: readonly string[];
  readonly minePower?: string;
  readonly seed?: string;
  readonly load?: string;
  readonly detach?: boolean;
  readonly readyFile?: string;
}

export function devnetCommand(): Command {
  const command = new Command('devnet')
    .description('A whole network on this machine: real nodes, real links, real proof of work.')
    .addHelpText('after', EXAMPLES);
  command
    .command('up')
    .description('start the network, print its nodes and accounts, and keep it running')
    .option('-n, --nodes <count>', 'how many nodes (default: 4)')
    .option(
      '--topology <name>',
      'who is linked with whom: pex, line, ring, star, full, random:K or file:NAME.json (default: pex)',
    )
    .option('--accounts <count>', 'how many funded accounts (default: 10)')
    .option('--block-time <time>', 'a block in this time: 500ms, 5s, 2m (default: 5s)')
    .option('--on-tx', 'a block for every payment instead')
    .option('--no-mine', 'no blocks but those of "grapevine mine"')
    .option(
      '--miner <shares>',
      'where blocks cost work: who mines, n0=60,n1=40 in percent (default: all alike)',
      collect,
    )
    .option(
      '--mine-power <percent>',
      'the part of this machine that they mine with (default: 80% with --miner, else 20%)',
    )
    .option('--seed <number>', 'the same seed makes the same accounts and the same first blocks (default: 1)')
    .option('--name <name>', `the name of the devnet (default: ${DEFAULT_DEVNET})`)
    .option('--load <snapshot>', 'begin with this snapshot: see "devnet save"')
    .option('-d, --detach', 'go on in the background')
    .option('--ready-file <file>', 'write what was started to this file when it is ready')
    .addHelpText('after', UP_EXAMPLES)
    .action((parsed: UpParsed, self: Command) => {
      const { network, chain } = self.optsWithGlobals() as Readonly<Record<string, unknown>>;
      return up(parsed, optionsOf(self), { network, chain });
    });
  named(command.command('status'), 'show the nodes, their tips and links').action((parsed: NameOption, self: Command) =>
    status(parsed, optionsOf(self)),
  );
  named(command.command('kill'), 'end a node as a crash would')
    .argument('<node>', 'its name, for example n1')
    .action((node: string, parsed: NameOption, self: Command) => kill(node, parsed, optionsOf(self)));
  named(command.command('restart'), 'start a node again')
    .argument('<node>', 'its name, for example n1')
    .action((node: string, parsed: NameOption, self: Command) => restart(node, parsed, optionsOf(self)));
  named(command.command('partition'), 'cut the network: every running node is on exactly one side')
    .argument('<sides...>', 'node names, with "/" between the sides: n0,n1 / n2,n3')
    .action((words: string[], parsed: NameOption, self: Command) => partition(words, parsed, optionsOf(self)));
  named(command.command('heal'), 'let all nodes link again').action((parsed: NameOption, self: Command) =>
    heal(parsed, optionsOf(self)),
  );
  addLiveCommands(command);
  addLinkCommand(command);
  addTraceCommand(command);
  addSnapshotCommands(command);
  named(command.command('down'), 'stop the network; its data stays')
    .option('--purge', 'remove its data too')
    .action((parsed: NameOption & { readonly purge?: boolean }, self: Command) => down(parsed, optionsOf(self)));
  return command;
}

// ---- up

/** `given`: the global options that say which network is meant, as they were given. */
async function up(parsed: UpParsed, global: GlobalOptions, given: Readonly<Record<string, unknown>>): Promise<void> {
  const topology = await readTopologyOption(parsed.topology);
  const datadir = resolve(global.datadir);
  const saved = await optionsOfSnapshot(folderOf(parsed.name ?? DEFAULT_DEVNET, global), datadir, {
    ...parsed,
    ...given,
  });
  const texts = { ...parsed, topology, ...saved?.texts, noMine: !parsed.mine };
  const params = networkByName(global.network) as ChainParams;
  const chain = saved === undefined ? choiceOf(params, global.chainFile !== undefined) : saved.chain;
  const options = { ...readOptions(texts, datadir, chain), ...saved?.fixed };
  const readyFile = parsed.readyFile === undefined ? undefined : resolve(parsed.readyFile);
  const { describeReady } = await import('./report.ts');
  const onNote = (text: string) => note(global, text);
  if (parsed.detach === true) {
    const { detach } = await import('./detach.ts');
    const report = await detach({ options, readyFile }, onNote);
    printResult(global, report, () => describeReady(report));
    onNote(`\nIt runs in the background. Stop it: grapevine devnet down${nameFlag(options.name)}`);
    return;
  }
  const [{ hostDevnet }, { describeEvent }] = await Promise.all([import('./host.ts'), import('./events.ts')]);
  await hostDevnet(options, readyFile, {
    onNote,
    onReady: (report) => {
      printResult(global, report, () => describeReady(report));
      onNote('\nCtrl-C stops it.');
    },
    onEvent: (event) => {
      if (global.json && !global.quiet) process.stderr.write(`${toJson(event)}\n`);
      else onNote(describeEvent(event));
    },
    onStopping: () => onNote('stopping'),
    endsWithParent: process.env['npm_lifecycle_event'] !== undefined,
  });
}

function collect(value: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, value];
}

async function readTopologyOption(text: string | undefined): Promise<OptionTexts['topology']> {
  const path = text === undefined ? undefined : /^file:(.+)$/.exec(text)?.[1];
  if (path === undefined) return text;
  const { loadTopologyFile } = await import('./topology-file.ts');
  return loadTopologyFile(path);
}

// ---- the commands that need a running devnet

async function status(parsed: NameOption, global: GlobalOptions): Promise<void> {
  const result = await call(parsed, global, 'status', {});
  const { describeStatus } = await import('./report.ts');
  printResult(global, result, () => describeStatus(result));
}

async function kill(node: string, parsed: NameOption, global: GlobalOptions): Promise<void> {
  const result = await call(parsed, global, 'kill', { node });
  printResult(global, result, `${node} was killed; start it again: grapevine devnet restart ${node}`);
}

async function restart(node: string, parsed: NameOption, global: GlobalOptions): Promise<void> {
  const result = await call(parsed, global, 'restart', { node });
  printResult(global, result, () => describeRestarted(result));
}

async function partition(words: readonly string[], parsed: NameOption, global: GlobalOptions): Promise<void> {
  const result = await call(parsed, global, 'partition', { sides: readSides(words) });
  const sides = result.partition.map((side) => side.join(',')).join(' / ');
  printResult(global, result, `${sides}: no links between the sides; join them again: grapevine devnet heal`);
}

async function heal(parsed: NameOption, global: GlobalOptions): Promise<void> {
  const result = await call(parsed, global, 'heal', {});
  printResult(global, result, () => describeHealed(result));
}

async function down(parsed: NameOption & { readonly purge?: boolean }, global: GlobalOptions): Promise<void> {
  // Never the only other one that runs: whoever types this twice must not lose it.
  const folder = folderOf(parsed.name ?? DEFAULT_DEVNET, global);
  const purge = parsed.purge === true;
  const owner = await folder.owner();
  let stopped = 0;
  if (owner !== undefined) {
    ({ stopped } = await callOwner(folder, owner, 'stop', {}));
  } else {
    const wasKilled = await folder.releaseStale();
    if (!wasKilled && !(purge && folder.exists)) throw notRunning(folder, listOwned(resolve(global.datadir)));
  }
  if (purge) folder.purge();
  const nodes = `${stopped} node${stopped === 1 ? '' : 's'}`;
  const text = `devnet "${folder.name}" is stopped (${nodes})${purge ? ' and its data removed' : ''}`;
  printResult(global, { name: folder.name, stopped, purged: purge }, text);
}

function describeRestarted(node: NodeStatus): string {
  const peers = node.peers === undefined || node.peers.length === 0 ? 'nobody' : node.peers.join(',');
  return `${node.name} is ${node.state}: height ${node.height ?? 'unknown'}, tip ${node.tip ?? 'unknown'}, linked with ${peers}`;
}

/** One line for each tip, because there may be several for a while. */
function describeHealed(result: DevnetStatus): string {
  const running = result.nodes.filter((node) => node.state === 'running');
  const tips = new Map<string, string[]>();
  for (const { height, tip, name } of running) {
    const key = `${height} ${tip}`;
    tips.set(key, [...(tips.get(key) ?? []), name]);
  }
  const [first] = tips.keys();
  if (tips.size <= 1) return `healed: all nodes are at block ${first ?? 'unknown'}`;
  const lines = [...tips].map(([tip, names]) => `  ${names.join(',')} at block ${tip}`);
  return [
    'healed, but the nodes are not at one tip yet. Branches of equal work stay until the next block: grapevine mine 1',
    ...lines,
  ].join('\n');
}
