/** `wallet history` and `wallet utxos`. */
import { scriptAddress } from '../consensus/address.ts';
import { outPointKey } from '../consensus/brand.ts';
import { COINBASE_MATURITY } from '../consensus/params.ts';
import { type GlobalOptions, note, printResult, usageError } from '../node/commands/cli.ts';
import { blameNodeFirst, chooseAccount, connectFor } from './accounts.ts';
import { formatBtc } from './amount.ts';
import { INTERNAL } from './key-place.ts';
import { readLabels } from './labels.ts';
import { OutputKeys } from './output-keys.ts';
import { reservedCoins } from './pending-payments.ts';
import { viewWallet, type WalletCoin } from './wallet-coins.ts';
import { type HistoryEntry, readHistory } from './wallet-history.ts';
import { readState } from './wallet-state.ts';

/** One transaction of `wallet history`, and its JSON (README.md). */
interface HistoryLine extends Omit<HistoryEntry, 'fee' | 'height' | 'time'> {
  readonly fee: bigint | null;
  readonly height: number | null;
  readonly time: number | null;
  readonly label: string | null;
}

export async function showHistory(
  options: GlobalOptions,
  texts: { readonly account: string | undefined; readonly limit: string | undefined },
): Promise<void> {
  const limit = readLimit(texts.limit);
  const account = await blameNodeFirst(options, () => chooseAccount(options, texts.account));
  const { wallet } = account;
  const { client } = await connectFor(account, options);
  try {
    const labels = readLabels(wallet.path);
    const keys = new OutputKeys(wallet);
    const entries = await readHistory(client, keys, readState(wallet.path), limit, wallet.params);
    const lines: HistoryLine[] = entries.map(({ fee, height, time, ...entry }) => {
      const named = entry.addresses.map((address) => labels.ofAddress(address)).find((label) => label !== undefined);
      const label = labels.ofTransaction(entry.txid) ?? named ?? null;
      return { ...entry, fee: fee ?? null, height: height ?? null, time: time ?? null, label };
    });
    printResult(options, lines, () => lines.map(historyText).join('\n'));
    if (lines.length === 0) note(options, 'nothing was paid to this account yet');
  } finally {
    client.close();
  }
}

/** Without a limit there is none. */
function readLimit(text: string | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw usageError(`"${text}" is no number of transactions`, 'for example --limit 10');
}

function historyText({ txid, type, amount, fee, confirmations, time, label, addresses }: HistoryLine): string {
  const signed = `${amount > 0n ? '+' : ''}${formatBtc(amount)}`;
  const parts = [
    time === null ? ' '.repeat(TIME_WIDTH) : timeText(time),
    (confirmations === 0 ? 'unconfirmed' : `${confirmations} conf`).padStart(11),
    type.padEnd(5),
    signed.padStart(24),
    (fee === null ? '' : `fee ${fee} sat`).padEnd(14),
    txid,
    label ?? addresses.slice(0, 1).join(''),
  ];
  return parts.join('  ').trimEnd();
}

const TIME_WIDTH = '2026-01-31 23:59:59Z'.length;

/** In universal time, as block explorers show it. */
function timeText(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

/** One coin of `wallet utxos`, and its JSON (README.md). */
interface CoinLine {
  readonly txid: string;
  readonly vout: number;
  readonly amount: bigint;
  readonly address: string | null;
  readonly change: boolean;
  readonly confirmations: number;
  readonly height: number | null;
  readonly coinbase: boolean;
  /** Blocks until it may be spent: a reward waits for a hundred. */
  readonly maturesIn: number;
  /** A payment that was sent here spends it, and this node does not know it yet. */
  readonly reserved: boolean;
  readonly label: string | null;
}

export async function showCoins(options: GlobalOptions, accountName: string | undefined): Promise<void> {
  const account = await blameNodeFirst(options, () => chooseAccount(options, accountName));
  const { wallet } = account;
  const { client } = await connectFor(account, options);
  try {
    const labels = readLabels(wallet.path);
    const state = readState(wallet.path);
    const view = await viewWallet(client, new OutputKeys(wallet), state);
    const reserved = reservedCoins(state.pending);
    const lines: CoinLine[] = [...view.coins].sort(byAge).map((coin) => {
      const { txid, vout } = coin.prevout;
      const address = scriptAddress(coin.scriptPubKey, wallet.params) ?? null;
      return {
        txid,
        vout,
        amount: coin.value,
        address,
        change: coin.place.chain === INTERNAL,
        confirmations: coin.height === undefined ? 0 : view.tip.height - coin.height + 1,
        height: coin.height ?? null,
        coinbase: coin.coinbase,
        maturesIn: maturesIn(coin, view.tip.height),
        reserved: reserved.has(outPointKey(txid, vout)),
        label: labels.ofTransaction(txid) ?? (address === null ? undefined : labels.ofAddress(address)) ?? null,
      };
    });
    printResult(options, lines, () => lines.map(coinText).join('\n'));
    if (lines.length === 0) note(options, `"${account.name}" has no coins`);
  } finally {
    client.close();
  }
}

function coinText({ txid, vout, amount, address, confirmations, maturesIn: waits, reserved, label }: CoinLine): string {
  const state =
    waits > 0 ? `matures in ${waits} blocks` : confirmations === 0 ? 'unconfirmed' : `${confirmations} conf`;
  const parts = [`${txid}:${vout}`, formatBtc(amount).padStart(22), address ?? '', state.padEnd(11)];
  return [...parts, reserved ? 'being spent' : '', label ?? '']
    .filter((part) => part !== '')
    .join('  ')
    .trimEnd();
}

function maturesIn({ coinbase, height }: WalletCoin, tipHeight: number): number {
  if (!coinbase || height === undefined) return 0;
  return Math.max(COINBASE_MATURITY - (tipHeight + 1 - height), 0);
}

/** Oldest first, unconfirmed ones last; those of one block by name. */
function byAge(a: WalletCoin, b: WalletCoin): number {
  const [ha, hb] = [a.height ?? Number.MAX_SAFE_INTEGER, b.height ?? Number.MAX_SAFE_INTEGER];
  if (ha !== hb) return ha - hb;
  if (a.prevout.txid !== b.prevout.txid) return a.prevout.txid < b.prevout.txid ? -1 : 1;
  return a.prevout.vout - b.prevout.vout;
}
