/** `wallet broadcast`: gives a signed transaction, in hex or as a PSBT whose inputs are all signed, to a node. */
import { bytesToHex } from '#hash';
import { encodeTransaction, type Transaction, vsizeOf } from '../consensus/transaction.ts';
import { CliError, Exit, type GlobalOptions, printResult } from '../node/commands/cli.ts';
import { type Connection, connect } from './connect.ts';
import { type Payload, readPayload } from './payload.ts';
import { NodeRefusal } from './rpc-client.ts';
import { completeTransaction, readPsbt } from './sign.ts';
import { withHint } from './submission.ts';
import { confirmationsOf } from './wait.ts';

/** What became of it, and its JSON (README.md). */
export interface BroadcastResult {
  readonly txid: string;
  readonly wtxid: string;
  /** `known`: the node had it in its pool; `confirmed`: it is in a block. Nothing was sent then. */
  readonly status: 'sent' | 'known' | 'confirmed';
  readonly confirmations: number;
  readonly vsize: number;
}

export async function broadcast(options: GlobalOptions, word: string): Promise<void> {
  const tx = transactionOf(await readPayload(word));
  const connection = await connect(options);
  try {
    const result = await deliver(connection, tx);
    printResult(options, result, () => `txid    ${result.txid}\n${statusText(result, connection)}`);
  } finally {
    connection.client.close();
  }
}

function transactionOf(payload: Payload): Transaction {
  const tx = payload.type === 'psbt' ? finalTransaction(payload.bytes) : payload.tx;
  const bare = tx.inputs.findIndex(({ witness, scriptSig }) => witness.length === 0 && scriptSig.length === 0);
  if (bare === -1) return tx;
  throw notSigned(`input ${bare} of this transaction is not signed`);
}

function finalTransaction(bytes: Uint8Array): Transaction {
  const psbt = readPsbt(bytes);
  const { inputs, fields } = psbt;
  const missing = inputs.filter(({ signature, witness }) => signature === undefined && witness === undefined).length;
  if (missing === 0) return completeTransaction(fields, inputs);
  throw notSigned(`${missing} of the ${inputs.length} inputs of this PSBT are not signed`);
}

function notSigned(message: string): CliError {
  return new CliError(Exit.failed, 'not-signed', message, 'sign it first: grapevine wallet sign FILE');
}

/** The node takes a transaction that it has for a new one or refuses it, so it is asked first. */
async function deliver(connection: Connection, tx: Transaction): Promise<BroadcastResult> {
  const { txid, wtxid } = tx;
  const result = { txid, wtxid, vsize: vsizeOf(tx) };
  const before = await confirmationsOf(connection, txid);
  if (before !== undefined) {
    return { ...result, status: before === 0 ? 'known' : 'confirmed', confirmations: before };
  }
  try {
    await connection.client.call('sendrawtransaction', [bytesToHex(encodeTransaction(tx))]);
  } catch (error) {
    throw error instanceof NodeRefusal ? withHint(error) : error;
  }
  return { ...result, status: 'sent', confirmations: 0 };
}

function statusText({ status, confirmations, vsize }: BroadcastResult, { label }: Connection): string {
  if (status === 'sent') return `sent    ${vsize} vB to ${label}`;
  if (status === 'known') return `known   ${label} has it in its pool already`;
  return `known   it is confirmed already, ${confirmations} deep`;
}
