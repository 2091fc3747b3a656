/**
 * `wallet sign`: signs a PSBT, or a transaction in hex, with the keys of a wallet. No node is asked: everything that is
 * shown is in what was given, and a signature of Taproot holds only for the coins that were named (BIP 341 signs all
 * amounts), so that a wrong amount cannot cost more than a try.
 */
import { base64 } from '@scure/base';
import { bytesToHex } from '#hash';
import { isDataOutput, scriptAddress } from '../consensus/address.ts';
import { type OutPointKey, outPointKey } from '../consensus/brand.ts';
import {
  encodeTransaction,
  type Transaction,
  type TransactionFields,
  type TxOutput,
} from '../consensus/transaction.ts';
import { CliError, Exit, type GlobalOptions, note, printResult, usageError } from '../node/commands/cli.ts';
import { type Account, chooseAccount } from './accounts.ts';
import { HARDENED, INTERNAL, type KeyPlace } from './key-place.ts';
import { OutputKeys } from './output-keys.ts';
import { OwnPlaces } from './own-places.ts';
import { type Payload, readPayload } from './payload.ts';
import {
  askConsent,
  describePayment,
  namedOutput,
  type PaymentSummary,
  paidFeeRate,
  refuseAbsurdFee,
  requireConsent,
} from './payment-text.ts';
import { readPrevouts } from './prevouts-file.ts';
import { Psbt, type PsbtInput, type PsbtOrigin } from './psbt.ts';
import { openAccountSecret, requireSecret } from './secret.ts';
import { secureRandomness } from './secure-randomness.ts';
import { describeData } from './send-order.ts';
import { checkSignatures, coversAll, signedVsize, signInput, withWitnesses } from './signing.ts';
import { readState } from './wallet-state.ts';

/** Options of the command as they were written. */
export interface SignTexts {
  readonly account: string | undefined;
  readonly prevouts: string | undefined;
  readonly passwordFile: string | undefined;
}

/** What was signed, and its JSON (README.md). Amounts are satoshis. */
export interface SignResult extends PaymentSummary {
  /** Every input is signed: `hex` can be broadcast. */
  readonly complete: boolean;
  readonly txid: string;
  /** The transaction, where it is complete or was given in hex. */
  readonly hex: string | null;
  /** Base64, where a PSBT was given. */
  readonly psbt: string | null;
  /** Hex of the data output. */
  readonly data: string | null;
  readonly inputs: number;
  /** Inputs that were signed now. */
  readonly signed: number;
  /** Inputs that others must sign. */
  readonly missing: number;
}

export async function sign(options: GlobalOptions, word: string, texts: SignTexts): Promise<void> {
  const account = chooseAccount(options, texts.account);
  requireSecret(account);
  requireConsent(
    account,
    options,
    'look at what it holds with "grapevine node rpc decodepsbt", then sign it with --yes',
  );
  const draft = openDraft(await readPayload(word), account, texts.prevouts);
  const plan = await planOf(options, account, draft);
  await askConsent(account, options, describe(plan), 'sign it?');
  const secret = await openAccountSecret(account, texts.passwordFile);
  for (const { index, place } of plan.mine) {
    const key = { secret: secret.outputSecret(place), hashType: draft.inputs[index]?.hashType };
    draft.sign(index, signInput(draft.fields, plan.spent, index, key, secureRandomness.bytes(32)));
  }
  printSigned(options, plan, finish(draft, plan));
}

/** What can be signed: a PSBT or a transaction with the coins that it spends. */
interface Draft {
  readonly kind: 'psbt' | 'transaction';
  readonly fields: TransactionFields;
  /** As they are now: a signature that was set is there when they are read again. */
  readonly inputs: readonly PsbtInput[];
  /** Where the keys of an output come from, if that is told. */
  outputOrigins(index: number): readonly PsbtOrigin[];
  sign(index: number, signature: Uint8Array): void;
  /** Base64 of a PSBT. */
  encodePsbt(): string | null;
}

function openDraft(payload: Payload, account: Account, prevoutsFile: string | undefined): Draft {
  if (payload.type === 'psbt') {
    if (prevoutsFile !== undefined) throw usageError('a PSBT names its coins itself', 'leave out --prevouts');
    return psbtDraft(readPsbt(payload.bytes));
  }
  if (prevoutsFile === undefined) {
    throw usageError(
      'a transaction in hex does not say which coins it spends',
      'name them with --prevouts FILE, or give a PSBT',
    );
  }
  return transactionDraft(payload.tx, readPrevouts(prevoutsFile, account.wallet.params));
}

/** Throws CliError "psbt-invalid". */
export function readPsbt(bytes: Uint8Array): Psbt {
  const psbt = Psbt.read(bytes);
  if (psbt.ok) return psbt.value;
  throw new CliError(
    Exit.usage,
    'psbt-invalid',
    `this PSBT cannot be used: ${psbt.error}`,
    'ask for it again; it may have been cut',
  );
}

function psbtDraft(psbt: Psbt): Draft {
  return {
    kind: 'psbt',
    fields: psbt.fields,
    get inputs() {
      return psbt.inputs;
    },
    outputOrigins: (index) => psbt.outputOrigins(index),
    sign: (index, signature) => psbt.sign(index, signature),
    encodePsbt: () => base64.encode(psbt.encode()),
  };
}

function transactionDraft(tx: Transaction, coins: ReadonlyMap<OutPointKey, TxOutput>): Draft {
  const witnesses = tx.inputs.map(({ witness }) => witness);
  return {
    kind: 'transaction',
    fields: tx,
    get inputs() {
      return tx.inputs.map(({ prevout }, index): PsbtInput => {
        const witness = witnesses[index] as readonly Uint8Array[];
        return {
          prevout,
          spent: coins.get(outPointKey(prevout.txid, prevout.vout)),
          origins: [],
          hashType: undefined,
          signature: undefined,
          witness: witness.length > 0 ? witness : undefined,
        };
      });
    },
    outputOrigins: () => [],
    sign(index, signature) {
      witnesses[index] = [signature];
    },
    encodePsbt: () => null,
  };
}

/** What would be signed: shown before anybody agrees to it. */
interface SigningPlan {
  readonly draft: Draft;
  /** The coins of all inputs. */
  readonly spent: readonly TxOutput[];
  /** Inputs that are ours and not signed. */
  readonly mine: readonly { readonly index: number; readonly place: KeyPlace }[];
  readonly summary: PaymentSummary & { readonly data: string | null };
  readonly dataText: string | undefined;
}

/** Throws CliError where the draft cannot be signed, or not by this wallet, or should not be. */
async function planOf(options: GlobalOptions, account: Account, draft: Draft): Promise<SigningPlan> {
  const { inputs } = draft;
  if (inputs.every(isSigned)) {
    throw refuse('already-final', 'every input is signed already', 'send it with "grapevine wallet broadcast"');
  }
  const spent = inputs.map((input, index) => input.spent ?? missingCoin(draft, input, index));
  const places = new OwnPlaces(account.wallet, new OutputKeys(account.wallet), readState(account.wallet.path).next);
  const own = [];
  for (const [index, { origins }] of inputs.entries()) {
    const place = await places.find((spent[index] as TxOutput).scriptPubKey, origins);
    if (place !== undefined) own.push({ index, place });
  }
  const mine = own.filter(({ index }) => !isSigned(inputs[index] as PsbtInput));
  if (own.length === 0) throw nothingOfOurs(account, inputs);
  if (mine.length === 0) {
    throw refuse('already-signed', `"${account.name}" has signed its inputs already`, 'the other signers are missing');
  }
  const partial = mine.find(({ index }) => !coversAll(inputs[index]?.hashType));
  if (partial !== undefined) {
    const what = `input ${partial.index} asks for a signature that leaves inputs or outputs open to change`;
    throw refuse('psbt-sighash', what, 'ask for a PSBT whose signatures cover everything (SIGHASH_DEFAULT or ALL)');
  }
  const { summary, dataText } = await summaryOf(options, account, draft, spent, places);
  refuseAbsurdFee(summary);
  return { draft, spent, mine, summary, dataText };
}

function isSigned({ signature, witness }: PsbtInput): boolean {
  return signature !== undefined || witness !== undefined;
}

function missingCoin({ kind }: Draft, { prevout }: PsbtInput, index: number): never {
  const source = kind === 'psbt' ? 'the PSBT does' : 'the file of --prevouts does';
  const hint =
    kind === 'psbt'
      ? 'let a node add it: grapevine node rpc utxoupdatepsbt PSBT'
      : 'add its txid, vout, amount and address to the file';
  throw refuse(
    'missing-prevout',
    `input ${index} spends ${prevout.txid}:${prevout.vout}, and ${source} not name that coin`,
    hint,
  );
}

/** None of the coins is this wallet's: perhaps they are those of the same words on another network. */
function nothingOfOurs({ name, wallet }: Account, inputs: readonly PsbtInput[]): CliError {
  const { params, descriptor } = wallet;
  const origins = inputs.flatMap((input) => input.origins);
  const foreign = origins.find(({ path }) => path.length >= 2 && path[1] !== params.coinType + HARDENED);
  if (foreign !== undefined) {
    const coinType = (foreign.path[1] as number) - HARDENED;
    const network = coinType === 0 ? "Bitcoin's main network" : `another network (coin type ${coinType})`;
    return refuse(
      'psbt-network',
      `this PSBT is one of ${network}, and "${name}" is on ${params.name}`,
      'sign it with a wallet of that network',
    );
  }
  const fingerprints = [...new Set(origins.map(({ fingerprint }) => fingerprint))];
  const whose =
    fingerprints.length === 0
      ? ''
      : ` (they come from ${fingerprints.join(', ')}, and "${name}" is ${descriptor.origin?.fingerprint})`;
  return refuse(
    'nothing-to-sign',
    `none of the coins belongs to "${name}"${whose}`,
    'name another wallet with --account',
  );
}

async function summaryOf(
  options: GlobalOptions,
  account: Account,
  draft: Draft,
  spent: readonly TxOutput[],
  places: OwnPlaces,
): Promise<{ summary: SigningPlan['summary']; dataText: string | undefined }> {
  const { params } = account.wallet;
  const { fields } = draft;
  const recipients = [];
  const ownOutputs: { readonly address: string; readonly amount: bigint }[] = [];
  let data: ReturnType<typeof describeData> | undefined;
  for (const [index, { value, scriptPubKey }] of fields.outputs.entries()) {
    const address = scriptAddress(scriptPubKey, params);
    const place = await places.find(scriptPubKey, draft.outputOrigins(index));
    if (address !== undefined && place?.chain === INTERNAL) {
      ownOutputs.push({ address, amount: value });
    } else if (address !== undefined) {
      recipients.push(
        place === undefined ? namedOutput(options, address, value) : { to: account.name, address, amount: value },
      );
    } else if (isDataOutput(scriptPubKey) && value === 0n) {
      data = describeData(scriptPubKey);
    } else {
      const script = bytesToHex(scriptPubKey);
      recipients.push({ to: `the script ${script}`, address: script, amount: value });
    }
  }
  const amountIn = spent.reduce((sum, { value }) => sum + value, 0n);
  const fee = amountIn - fields.outputs.reduce((sum, { value }) => sum + value, 0n);
  if (fee < 0n) {
    const what = `it pays ${-fee} sat more than its coins are worth`;
    throw refuse('bad-txns-in-belowout', what, 'ask for it again: no node takes it');
  }
  const vsize = signedVsize(fields);
  const summary = {
    account: account.name,
    recipients,
    amount: recipients.reduce((sum, { amount }) => sum + amount, 0n),
    fee,
    feeRate: paidFeeRate(fee, vsize),
    vsize,
    change: changeOf(ownOutputs),
    data: data?.hex ?? null,
  };
  return { summary, dataText: data?.text };
}

/** A transaction of several wallets may give us change twice. */
function changeOf(outputs: readonly { readonly address: string; readonly amount: bigint }[]): PaymentSummary['change'] {
  const [first] = outputs;
  if (first === undefined) return null;
  return { address: first.address, amount: outputs.reduce((sum, { amount }) => sum + amount, 0n) };
}

function describe({ summary, dataText, mine, spent }: SigningPlan): string[] {
  const extra = dataText === undefined ? [] : [`data    ${dataText}`];
  const lines = describePayment(summary, extra);
  if (mine.length < spent.length) lines.push(`inputs  ${mine.length} of ${spent.length} are signed here`);
  return lines;
}

/** The transaction where all inputs are signed, after all signatures were verified; else what there is. */
function finish(draft: Draft, { spent, mine, summary }: SigningPlan): SignResult {
  const { inputs, fields } = draft;
  const missing = inputs.filter((input) => !isSigned(input)).length;
  const tx = completeTransaction(fields, inputs);
  if (missing === 0) {
    const checked = checkSignatures(tx, spent);
    if (!checked.ok)
      throw refuse('signature-invalid', `the signed transaction is not valid: ${checked.error}`, 'ask for it again');
    if (checked.value !== undefined) {
      const what = `the signature of input ${checked.value} does not hold`;
      throw refuse('signature-invalid', what, 'it was made for another transaction, or for other coins');
    }
  }
  const complete = missing === 0;
  return {
    ...summary,
    complete,
    txid: tx.txid,
    hex: complete || draft.kind === 'transaction' ? bytesToHex(encodeTransaction(tx)) : null,
    psbt: draft.encodePsbt(),
    inputs: inputs.length,
    signed: mine.length,
    missing,
  };
}

/** The transaction with what is signed so far. */
export function completeTransaction(fields: TransactionFields, inputs: readonly PsbtInput[]): Transaction {
  return withWitnesses(
    fields,
    inputs.map(({ witness, signature }) => witness ?? (signature === undefined ? [] : [signature])),
  );
}

function printSigned(options: GlobalOptions, plan: SigningPlan, result: SignResult): void {
  if (plan.draft.kind === 'psbt' || result.complete) {
    const what = result.complete
      ? `signed: ${result.txid}; send it with "grapevine wallet broadcast"`
      : `signed ${result.signed} of ${result.inputs} inputs; ${result.missing} are missing`;
    note(options, what);
  }
  printResult(options, result, (result.hex ?? result.psbt) as string);
}

function refuse(code: string, message: string, hint: string): CliError {
  return new CliError(Exit.failed, code, message, hint);
}
