/**
 * Commands that do to a running devnet what real networks do by accident, and those that watch and script it: add,
 * isolate, faucet, reorg, time, topology, logs, run. What they ask for is checked here; the supervisor does it.
 */
import type { Command } from 'commander';
import { CliError, Exit, type GlobalOptions, note, printResult, usageError } from '../node/commands/cli.ts';
import { formatAmount, parseAmount } from '../wallet/amount.ts';
import { parseDuration } from '../wallet/duration.ts';
import { readClockOrder } from './clock-setting.ts';
import type { LogTexts } from './logs.ts';
import type { PaymentJson } from './payments.ts';
import { call, type NameOption, named, optionsOf } from './reach.ts';
import type { ReorgResult } from './reorg.ts';
import { formatTopologyFile } from './topology-file.ts';

const DEFAULT_FAUCET = '1btc';
const DEFAULT_FAUCET_WAIT_MS = 60_000;
/** A deep reorg takes longer than other calls. */
const REORG_TIMEOUT_MS = 300_000;
/** The answer to a wait has so much longer than the wait itself. */
const ANSWER_MS = 10_000;

const ADD_EXAMPLES = `
Examples:
  $ grapevine devnet add                 a further node; it finds the others as the first ones did
  $ grapevine devnet add --connect n2    it dials n2

It is there until the devnet stops. In a partition it is on the side of the node that it dials.`;

const ISOLATE_EXAMPLES = `
Examples:
  $ grapevine devnet isolate n2
  $ grapevine devnet heal`;

const FAUCET_EXAMPLES = `
Examples:
  $ grapevine devnet faucet bob                 1 btc
  $ grapevine devnet faucet bcrt1p… 50000sat    to any address
  $ grapevine devnet faucet bob 2btc --wait     come back when a block has it`;

const REORG_EXAMPLES = `
Examples:
  $ grapevine devnet reorg --depth 2                two blocks are undone, three come in their place
  $ grapevine devnet reorg --depth 3 --node n2      n2 gets the new branch first
  $ grapevine devnet reorg --depth 2 --drop TXID    TXID is gone for good

The new blocks are empty, so the payments of the undone blocks go back to the mempools and into the next block. --drop
spends the coins of a payment otherwise: they go back to their owner, and the payment and all that depend on it are void.
That can be done for payments of the devnet's accounts, whose keys are public. In a partition the reorg stays on its side.
The first blocks of a devnet (110, or 100 and one for each account) are never undone.`;

const TIME_EXAMPLES = `
Examples:
  $ grapevine devnet time                             what the nodes' clocks show
  $ grapevine devnet time +1h                         an hour ahead; the clocks run on (units: s, m, h, d, w)
  $ grapevine devnet time -30m
  $ grapevine devnet time set 2030-01-01T12:00        the clocks stand still there (UTC; or seconds since 1970)
  $ grapevine devnet time resume                      real time again

It holds for nodes that are restarted or added, and until the devnet is told otherwise, also after "down" and "up".
A time at which the nodes could mine no block is refused: they take none that is two hours ahead of their clocks.`;

const TOPOLOGY_EXAMPLES = `
Examples:
  $ grapevine devnet topology > mine.json
  $ grapevine devnet up --topology file:mine.json

A topology file has the number of nodes and the links: which node dials which. The nodes are n0, n1, …
  {"nodes":3,"links":[{"from":"n1","to":"n0"},{"from":"n2","to":"n1","direction":"both"}]}`;

const LOGS_EXAMPLES = `
Examples:
  $ grapevine devnet logs                       all that the nodes have said, in the order of their times
  $ grapevine devnet logs -f                    go on with what they say from now on, until Ctrl-C
  $ grapevine devnet logs n1 --lines 50
  $ grapevine devnet logs -f --grep 8c2b2f16    only lines with this text
  $ grapevine devnet logs --json | jq .message  NDJSON, the node in each line`;

const RUN_EXAMPLES = `
A script has one step a line; # begins a comment:
  devnet partition n0,n1 / n2,n3      any devnet, wallet, mine or node command, without "grapevine"
  tx = wallet send bob 1btc           the last id (64 hex digits) that it prints is $tx from here on; $last is the newest
  wait tx $tx                         until all nodes know it; "wait tx $tx 1": until they count one confirmation
  wait tip                            until all nodes have one tip; "wait tip 112 within 10s": that block, or less patience
  wait 5s
  expect $tx                          the last command has printed this; "expect not …": it has not
  fails 2 devnet kill n9              this command fails, here with exit code 2

It stops at the first step that fails, says its line, and has its exit code. --json prints one line for each step.

Examples:
  $ grapevine devnet run partition.txt
  $ grapevine devnet run partition.txt --json`;

/** Adds the commands to `grapevine devnet`. */
export function addLiveCommands(command: Command): void {
  named(command.command('add'), 'start a further node')
    .option('--connect <node>', 'the node that it dials (default: the first one that runs)')
    .addHelpText('after', ADD_EXAMPLES)
    .action((parsed: NameOption & { readonly connect?: string }, self: Command) => add(parsed, optionsOf(self)));
  named(command.command('isolate'), 'cut one node off from all others, until "heal"')
    .argument('<node>', 'its name, for example n1')
    .addHelpText('after', ISOLATE_EXAMPLES)
    .action((node: string, parsed: NameOption, self: Command) => isolate(node, parsed, optionsOf(self)));
  named(command.command('faucet'), 'pay to an address or an account from the faucet')
    .argument('<to>', 'an address, or the name of an account')
    .argument('[amount]', 'with its unit: 0.5btc or 50000sat', DEFAULT_FAUCET)
    .option('--wait', 'come back when a block has it')
    .option('--wait-timeout <time>', 'give up waiting after this time (60s; exit code 6)')
    .addHelpText('after', FAUCET_EXAMPLES)
    .action((to: string, amount: string, parsed: FaucetTexts, self: Command) =>
      faucet(to, amount, parsed, optionsOf(self)),
    );
  named(command.command('reorg'), 'undo the last blocks by a heavier branch')
    .requiredOption('--depth <blocks>', 'how many blocks are undone')
    .option('--drop <txid>', 'a payment in those blocks that never comes back')
    .addHelpText('after', REORG_EXAMPLES)
    .action((parsed: ReorgTexts, self: Command) => reorg(parsed, optionsOf(self)));
  named(command.command('time'), 'move or stop the clocks of all nodes')
    .argument('[words...]', '+1h, -30m, "set" and a date, "resume"; nothing: show it')
    // "-30m" is no option: all is let through, and judged by what it is.
    .allowUnknownOption()
    .addHelpText('after', TIME_EXAMPLES)
    .action((_: readonly string[], parsed: NameOption, self: Command) => time(self.args, parsed, optionsOf(self)));
  named(command.command('topology'), 'print the links of this moment as a topology file')
    .addHelpText('after', TOPOLOGY_EXAMPLES)
    .action((parsed: NameOption, self: Command) => topology(parsed, optionsOf(self)));
  named(command.command('logs'), 'what the nodes say, in one stream')
    .argument('[node]', 'only this one')
    .option('-f, --follow', 'go on with what they say from now on, until Ctrl-C')
    .option('--grep <text>', 'only lines with this text')
    .option('--lines <count>', 'only the last ones (default: all; 10 with -f)')
    .option('--all', 'also what "devnet trace" is made of: every message about every payment and block')
    .addHelpText('after', LOGS_EXAMPLES)
    .action(async (node: string | undefined, parsed: LogTexts, self: Command) => {
      const { showLogs } = await import('./logs.ts');
      await showLogs(node, parsed, optionsOf(self));
    });
  named(command.command('run'), 'carry out a script of commands')
    .argument('<script>', 'a text file')
    .addHelpText('after', RUN_EXAMPLES)
    .action(async (script: string, parsed: NameOption, self: Command) => {
      const { runScript } = await import('./run-script.ts');
      await runScript(script, parsed, optionsOf(self));
    });
}

async function add(parsed: NameOption & { readonly connect?: string }, global: GlobalOptions): Promise<void> {
  const node = await call(parsed, global, 'add', { connect: parsed.connect });
  const peers = node.peers?.join(',') ?? '';
  const at = `http://${node.rpc} ${node.listen.join(' ')}`;
  const text = `${node.name} is ${node.state} at ${at}: height ${node.height ?? 'unknown'}, linked with ${peers || 'nobody'}`;
  printResult(global, node, text);
}

async function isolate(node: string, parsed: NameOption, global: GlobalOptions): Promise<void> {
  const result = await call(parsed, global, 'isolate', { node });
  const sides = result.partition.map((side) => side.join(',')).join(' / ');
  printResult(global, result, `${sides}: ${node} is alone; join it again: grapevine devnet heal`);
}

interface FaucetTexts extends NameOption {
  readonly wait?: boolean;
  readonly waitTimeout?: string;
}

async function faucet(to: string, amountText: string, parsed: FaucetTexts, global: GlobalOptions): Promise<void> {
  const amount = parseAmount(amountText);
  if (!amount.ok) throw new CliError(Exit.usage, amount.error.code, amount.error.message, amount.error.hint);
  if (amount.value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw usageError(`${amountText} is more than there is`, 'the faucet earns 50 btc a block');
  }
  const timeout = parsed.waitTimeout === undefined ? undefined : parseDuration(parsed.waitTimeout);
  if (timeout?.ok === false) throw usageError(timeout.error, 'for example --wait-timeout 90s');
  const node = nodeOf(global);
  const payment = await call(parsed, global, 'faucet', { to, amount: Number(amount.value), node });
  if (parsed.wait !== true) return printResult(global, payment, () => describePayment(payment));
  note(global, `waiting for a block with ${payment.txid}`);
  const timeoutMs = timeout?.value ?? DEFAULT_FAUCET_WAIT_MS;
  const order = { what: 'tx', txid: payment.txid, confirmations: 1, timeoutMs } as const;
  try {
    const reached = await call(parsed, global, 'wait', order, timeoutMs + ANSWER_MS);
    printResult(global, { ...payment, ...reached }, () => describePayment(payment));
  } catch (error) {
    if (!(error instanceof CliError) || error.code !== 'wait-timeout') throw error;
    const message = `${payment.txid} was sent, and is in no block of every node after ${timeoutMs / 1000} s`;
    throw new CliError(Exit.timeout, error.code, message, 'mine one: grapevine mine 1');
  }
}

function describePayment({ txid, amount, fee, to, address, node }: PaymentJson): string {
  return [
    `amount  ${formatAmount(BigInt(amount))}`,
    `to      ${to === address ? address : `${to} (${address})`}`,
    `fee     ${fee} sat, given to ${node}`,
    `txid    ${txid}`,
  ].join('\n');
}

interface ReorgTexts extends NameOption {
  readonly depth: string;
  readonly drop?: string;
}

async function reorg(parsed: ReorgTexts, global: GlobalOptions): Promise<void> {
  const depth = /^\d{1,9}$/.test(parsed.depth) ? Number(parsed.depth) : 0;
  if (depth < 1) throw usageError(`--depth: "${parsed.depth}" is no number of blocks`, 'for example --depth 2');
  if (parsed.drop !== undefined && !/^[0-9a-f]{64}$/i.test(parsed.drop)) {
    throw usageError(`--drop: "${parsed.drop}" is no txid`, 'a txid has 64 hex digits');
  }
  const order = { depth, drop: parsed.drop?.toLowerCase(), node: nodeOf(global) };
  const result = await call(parsed, global, 'reorg', order, REORG_TIMEOUT_MS);
  printResult(global, result, () => describeReorg(result));
}

function describeReorg(result: ReorgResult): string {
  const { node, depth, fork, oldTip, newTip, returned, dropped, replacement, nodes } = result;
  const others = nodes.filter((name) => name !== node);
  return [
    `${depth} block${depth === 1 ? '' : 's'} above ${fork.height} undone at ${node}${others.length === 0 ? '' : `, and at ${others.join(',')}`}`,
    `was   ${oldTip.height} ${oldTip.hash}`,
    `is    ${newTip.height} ${newTip.hash}`,
    ...(returned.length === 0 ? [] : [`back in the mempool: ${returned.join(' ')}`]),
    ...(dropped.length === 0 ? [] : [`gone: ${dropped.join(' ')}`]),
    ...(replacement === null ? [] : [`its coins went back to their owner with ${replacement}`]),
  ].join('\n');
}

async function time(words: readonly string[], parsed: NameOption, global: GlobalOptions): Promise<void> {
  const option = words.find((word) => /^-\D/.test(word));
  if (option !== undefined) throw usageError(`unknown option "${option}"`, 'see grapevine devnet time --help');
  const status = await call(parsed, global, 'time', { order: readClockOrder(words) });
  printResult(global, status, status.text);
  if (status.warning !== null) note(global, `note: ${status.warning}`);
}

async function topology(parsed: NameOption, global: GlobalOptions): Promise<void> {
  const file = await call(parsed, global, 'topology', {});
  printResult(global, file, () => formatTopologyFile(file));
}

/** `--node n1`, or `--node NAME/n1` as wallet commands take it. */
function nodeOf(global: GlobalOptions): string | undefined {
  return global.node?.split('/').at(-1);
}
