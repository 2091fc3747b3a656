/**
 * What `devnet up` says when the devnet is ready: one value, and its text for people. Also the table of `status`.
 * Accounts come last, because their words are what people copy; below them are three commands to try.
 */
import { formatTable } from '../node/commands/table.ts';
import { formatBtc } from '../wallet/amount.ts';
import type { DevnetAccount, DevnetFile } from '../wallet/devnet-file.ts';
import type { AccountBalance } from './balances.ts';
import type { DevnetStatus, NodeStatus } from './status.ts';
import { describeWork } from './work-status.ts';

export interface AccountReport extends DevnetAccount, AccountBalance {}

/** The answer of `devnet up --json`, and the content of `--ready-file`. */
export interface ReadyReport extends DevnetStatus {
  readonly event: 'ready';
  /** True where the chain of an earlier run goes on. */
  readonly continued: boolean;
  /** Path of devnet.json, which says where everything is. */
  readonly file: string;
  readonly accounts: readonly AccountReport[];
  readonly faucet: AccountReport;
}

/** `balances` are those of the accounts in their order, and then the faucet's. */
export function readyReport(
  status: DevnetStatus,
  description: DevnetFile,
  balances: readonly AccountBalance[],
  facts: { readonly file: string; readonly continued: boolean },
): ReadyReport {
  const { accounts, faucet } = description;
  return {
    event: 'ready',
    ...status,
    ...facts,
    accounts: accounts.map((account, index) => ({ ...account, ...balances[index]! })),
    faucet: { ...faucet, ...balances[accounts.length]! },
  };
}

export function describeReady(report: ReadyReport): string {
  const accounts = [...report.accounts, report.faucet].map((account) => [
    account.name,
    account.address,
    formatBtc(account.spendable),
    account.mnemonic,
  ]);
  return [
    describeStatus(report),
    '',
    'Accounts. Their words are public: they are for this devnet only.',
    formatTable(['NAME', 'ADDRESS', 'BALANCE', 'WORDS'], accounts),
    '',
    'Try',
    ...examples(report).map((line) => `  ${line}`),
  ].join('\n');
}

export function describeStatus(status: DevnetStatus): string {
  const { name, network, seed, topology, mining, clock, partition } = status;
  const sides = partition.map((side) => side.join(',')).join(' / ');
  return [
    `Devnet "${name}": ${network}, seed ${seed}, topology ${topology}, ${mining}.`,
    ...(clock === undefined ? [] : [`Time: ${clock}`]),
    ...(sides === '' ? [] : [`Partitioned: ${sides}`]),
    formatTable(
      ['NODE', 'STATE', 'RPC', 'PEERS AT', 'HEIGHT', 'TIP', 'MEMPOOL', 'LINKED WITH'],
      status.nodes.map(describeNode),
    ),
    ...(status.work === undefined ? [] : [describeWork(status.work)]),
  ].join('\n');
}

function describeNode(node: NodeStatus): (string | number)[] {
  return [
    node.name,
    node.state,
    `http://${node.rpc}`,
    node.listen.join(' '),
    node.height ?? '-',
    // Tips are compared by eye; eight bytes tell any two apart.
    node.tip === undefined ? '-' : `${node.tip.slice(0, 16)}…`,
    node.mempool ?? '-',
    node.peers === undefined ? '-' : node.peers.join(',') || 'nobody',
  ];
}

/** A payment, a block, and what the nodes think of it. They work as they are printed. */
function examples(report: ReadyReport): string[] {
  const [first, second] = report.accounts;
  const flag = report.name === 'default' ? '' : ` --name ${report.name}`;
  const of = (name: string) => (report.name === 'default' ? name : `${report.name}/${name}`);
  const node = report.nodes.at(-1)?.name ?? 'n0';
  return [
    `npx grapevine wallet send ${of((second ?? report.faucet).name)} 1.5btc --account ${of(first?.name ?? report.faucet.name)} --yes`,
    `npx grapevine mine 1 --node ${of(node)}`,
    `npx grapevine devnet status${flag}`,
  ];
}
