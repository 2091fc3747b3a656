/** `--prevouts FILE`: the coins that a transaction in hex spends, as JSON. Without them nothing of Taproot can be signed. */
import { hexToBytes } from '#hash';
import { decodeAddress } from '../consensus/address.ts';
import { type OutPointKey, outPointKey, type Txid } from '../consensus/brand.ts';
import { type ChainParams, MAX_MONEY } from '../consensus/params.ts';
import type { TxOutput } from '../consensus/transaction.ts';
import { CliError, Exit } from '../node/commands/cli.ts';
import { parseAmount } from './amount.ts';
import { readFile } from './payload.ts';

const EXAMPLE = '[{"txid": "…", "vout": 0, "amount": 50000, "address": "bcrt1p…"}], with amounts in satoshis';

/** Reads an array of `{txid, vout, amount, address | scriptPubKey}`; `amount` in satoshis, or a text with its unit. */
export function readPrevouts(path: string, params: ChainParams): ReadonlyMap<OutPointKey, TxOutput> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(readFile(path)));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw wrong(path, `it is no JSON: ${error.message}`);
  }
  if (!Array.isArray(value)) throw wrong(path, 'it is no array');
  return new Map(
    value.map((item: unknown, index) => {
      const where = `entry ${index}`;
      if (typeof item !== 'object' || item === null) throw wrong(path, `${where} is no object`);
      const { txid, vout, amount, address, scriptPubKey } = item as Record<string, unknown>;
      if (typeof txid !== 'string' || !/^[0-9a-f]{64}$/.test(txid)) throw wrong(path, `${where} has no "txid"`);
      if (typeof vout !== 'number' || !Number.isInteger(vout) || vout < 0) throw wrong(path, `${where} has no "vout"`);
      const satoshis = readSatoshis(amount);
      if (satoshis === undefined) throw wrong(path, `${where} has no "amount" in satoshis`);
      const script = readScript(address, scriptPubKey, params);
      if (typeof script === 'string') throw wrong(path, `${where} ${script}`);
      return [outPointKey(txid as Txid, vout), { value: satoshis, scriptPubKey: script }];
    }),
  );
}

/** Undefined for what is no whole number of satoshis: `0.5` may be meant as coins, and nobody should guess. */
function readSatoshis(amount: unknown): bigint | undefined {
  if (typeof amount === 'string') {
    const parsed = parseAmount(amount);
    return parsed.ok ? parsed.value : undefined;
  }
  if (typeof amount !== 'number' || !Number.isSafeInteger(amount) || amount < 0) return undefined;
  return BigInt(amount) > MAX_MONEY ? undefined : BigInt(amount);
}

/** The script, or what is wrong with it. */
function readScript(address: unknown, script: unknown, params: ChainParams): Uint8Array | string {
  if (typeof script === 'string' && /^([0-9a-f]{2})+$/i.test(script)) return hexToBytes(script.toLowerCase());
  if (typeof address !== 'string') return 'has neither "address" nor "scriptPubKey"';
  const decoded = decodeAddress(address, params);
  return decoded.ok ? decoded.value : `has the address ${address}: ${decoded.error.message}`;
}

function wrong(path: string, what: string): CliError {
  return new CliError(Exit.usage, 'prevouts-file', `${path} cannot be used: ${what}`, `it should hold ${EXAMPLE}`);
}
