/** `wallet rescan`: looks for used addresses far behind the gap, and remembers how far the wallet reaches. */
import { encodeAddress } from '../consensus/address.ts';
import { type GlobalOptions, note, printResult, usageError } from '../node/commands/cli.ts';
import { blameNodeFirst, chooseAccount, connectFor } from './accounts.ts';
import { GAP_LIMIT, readGapLimit, type ScanRange } from './address-walk.ts';
import { formatAmount } from './amount.ts';
import { EXTERNAL, INTERNAL, type KeyPlace } from './key-place.ts';
import { OutputKeys } from './output-keys.ts';
import { balanceOf, viewWallet } from './wallet-coins.ts';
import { lookUpTouched } from './wallet-history.ts';
import { withState } from './wallet-state.ts';

/** Addresses of each chain that are looked at unless said otherwise. */
const DEFAULT_RANGE = 1000;
/** Keys are remembered in a file, so many of them make every command slower. */
const MAX_RANGE = 100_000;
/** Addresses between two notes of progress: some seconds. */
const PROGRESS_STEP = 5000;
/** Addresses that the text names; the JSON has all. */
const MAX_SHOWN = 10;

/** Options of the command as they were written. */
export interface RescanTexts {
  readonly account: string | undefined;
  readonly range: string | undefined;
  readonly gapLimit: string | undefined;
}

export async function rescanWallet(options: GlobalOptions, texts: RescanTexts): Promise<void> {
  const width = readRange(texts.range);
  const gapLimit = readGapLimit(texts.gapLimit);
  const account = await blameNodeFirst(options, () => chooseAccount(options, texts.account));
  const { name, wallet } = account;
  const { client } = await connectFor(account, options);
  try {
    const onWait = (pid: number) => note(options, `waiting for another command with this wallet (process ${pid})`);
    await withState(wallet.path, { what: `the wallet of "${name}"`, onWait }, async (state) => {
      const before = state.value;
      // What was remembered of its keys may be what is wrong.
      OutputKeys.forget(wallet);
      const keys = new OutputKeys(wallet);
      const reach = reachOf(before, (await viewWallet(client, keys, before)).used);
      note(options, `looking at the first ${width} addresses of each chain`);
      const wished = gapLimit === undefined ? before : { ...before, gapLimit };
      const wide: ScanRange = { ...wished, next: { external: width, internal: width } };
      const { used, places, rows } = await lookUpTouched(client, keys, wide, (looked) => {
        if (looked % PROGRESS_STEP === 0) note(options, `${looked} addresses`);
      });
      const beyond = places.filter(({ chain, index }) => index >= reach[chain]).sort(byPlace);
      const next = {
        external: beyond.some(({ chain }) => chain === EXTERNAL) ? used.external : before.next.external,
        internal: beyond.some(({ chain }) => chain === INTERNAL) ? used.internal : before.next.internal,
      };
      const after = { ...wished, next };
      state.save(after);
      const found: FoundAddress[] = [];
      for (const place of beyond) {
        const address = encodeAddress(await keys.derive(place), wallet.params.hrp);
        found.push({ address, change: place.chain === INTERNAL, index: place.index });
      }
      const { confirmed, unconfirmed, immature } = balanceOf(await viewWallet(client, new OutputKeys(wallet), after));
      const result = {
        account: name,
        range: width,
        gapLimit: after.gapLimit ?? GAP_LIMIT,
        addresses: places.length,
        transactions: rows.length,
        found,
        total: confirmed + unconfirmed + immature,
      };
      printResult(options, result, () => describe(result));
    });
  } finally {
    client.close();
  }
}

interface FoundAddress {
  readonly address: string;
  readonly change: boolean;
  readonly index: number;
}

interface RescanResult {
  readonly addresses: number;
  readonly transactions: number;
  readonly found: readonly FoundAddress[];
  readonly total: bigint;
}

function describe({ addresses, transactions, found, total }: RescanResult): string {
  const shown = found.slice(0, MAX_SHOWN).map(({ address, change, index }) => {
    return `found         ${address} (${change ? 'change' : 'receiving'} address ${index})`;
  });
  const rest = found.length - shown.length;
  return [
    `addresses     ${addresses} were used`,
    `transactions  ${transactions}`,
    ...shown,
    ...(rest > 0 ? [`              and ${rest} more`] : []),
    ...(found.length === 0 ? ['found         nothing that was not known'] : []),
    `balance       ${formatAmount(total)}`,
  ].join('\n');
}

/** The first index of each chain that the wallet would not have looked at. */
function reachOf(
  { next, gapLimit = GAP_LIMIT }: ScanRange,
  used: { readonly external: number; readonly internal: number },
): readonly [number, number] {
  return [Math.max(next.external, used.external) + gapLimit, Math.max(next.internal, used.internal) + gapLimit];
}

function readRange(text: string | undefined): number {
  if (text === undefined) return DEFAULT_RANGE;
  const range = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (range >= 1 && range <= MAX_RANGE) return range;
  throw usageError(`"${text}" is no number of addresses from 1 to ${MAX_RANGE}`, 'for example --range 5000');
}

function byPlace(a: KeyPlace, b: KeyPlace): number {
  return a.chain - b.chain || a.index - b.index;
}
