/** `grapevine devnet trace`: its options and its text. What it shows is put together in trace.ts. */
import type { Command } from 'commander';
import { type GlobalOptions, printResult } from '../node/commands/cli.ts';
import { formatTable } from '../node/commands/table.ts';
import { chooseFolder, type NameOption, named, optionsOf } from './reach.ts';
import type { NodeTrace, Timeline, TimelineStep } from './trace.ts';

const TRACE_EXAMPLES = `
Examples:
  $ grapevine devnet trace 4a5e1e4b…                a transaction by its txid (all 64 digits), or a block by its hash
  $ grapevine devnet trace 4a5e1e4b… --json         for programs: every step with its milliseconds

It reads the logs of all nodes, also of those that have ended.`;

export function addTraceCommand(devnet: Command): void {
  named(devnet.command('trace'), 'show the way of a transaction or block through all nodes')
    .argument('<txid|blockhash>', 'what to follow')
    .addHelpText('after', TRACE_EXAMPLES)
    .action((id: string, parsed: NameOption, self: Command) => trace(id, parsed, optionsOf(self)));
}

async function trace(id: string, parsed: NameOption, global: GlobalOptions): Promise<void> {
  const { traceItem } = await import('./trace-logs.ts');
  const timeline = await traceItem(chooseFolder(parsed, global), id);
  printResult(global, { ...timeline, firstSeen: new Date(timeline.firstSeen).toISOString() }, () =>
    describeTimeline(timeline),
  );
}

/** The timeline, and below it how long each node took. */
export function describeTimeline(timeline: Timeline): string {
  const { item, id, wtxids, firstSeen, steps, nodes } = timeline;
  const names = wtxids.length === 0 ? '' : `, wtxid ${wtxids.join(', ')}`;
  const at = new Date(firstSeen).toISOString().slice(11, 23);
  return [
    `${item === 'block' ? 'Block' : 'Transaction'} ${id}${names}`,
    `First seen by ${nodes[0]?.node} at ${at} UTC.`,
    '',
    formatTable(
      ['MS', 'NODE', 'STEP', 'PEER', ''],
      steps.map((step) => [step.sinceMs, step.node, words(step), step.with ?? '', details(step)]),
    ),
    '',
    formatTable(['NODE', 'SAW IT', 'HAD IT', 'FROM', 'NOW'], nodes.map(describeNode)),
  ].join('\n');
}

function describeNode({ node, seenMs, hadMs, from, outcome }: NodeTrace): (string | number)[] {
  const source = from ?? (hadMs === undefined ? '-' : 'itself');
  return [node, `${seenMs} ms`, hadMs === undefined ? '-' : `${hadMs} ms`, source, outcome];
}

function words({ step }: TimelineStep): string {
  return step.replace('-', ' ');
}

function details({ reason, height, block, step }: TimelineStep): string {
  const parts = [
    ...(height === undefined ? [] : [`height ${height}`]),
    // Eight bytes tell any two blocks apart by eye.
    ...(block === undefined ? [] : [`block ${block.slice(0, 16)}…`]),
    ...(reason === undefined ? [] : [step === 'accepted' ? (SOURCES[reason] ?? reason) : reason]),
  ];
  return parts.join(', ');
}

/** Where an accepted transaction came from, if not from a peer. */
const SOURCES: Readonly<Record<string, string>> = {
  local: 'from a user of this node',
  saved: 'from the mempool of the run before',
};
