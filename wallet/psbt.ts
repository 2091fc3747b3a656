/**
 * PSBTs (BIP 174, and BIP 371 for Taproot): the adapter to the library that knows the format. Key-path spends only; what
 * else a PSBT holds is kept as it is.
 */
import { Transaction as Draft, RawTx } from '@scure/btc-signer';
import { bytesToHex } from '#hash';
import { type Bytes, fail, ok, type Result, type Txid } from '../consensus/brand.ts';
import type { OutPoint, TransactionFields, TxOutput } from '../consensus/transaction.ts';
import type { TransactionPlan } from './build-transaction.ts';
import { HARDENED, type KeyPlace } from './key-place.ts';
import { AccountAddresses } from './keys.ts';
import type { Wallet } from './keystore.ts';

/** Where a key of a PSBT comes from. */
export interface PsbtOrigin {
  /** Of the master key, eight hex digits. */
  readonly fingerprint: string;
  /** Steps from the master key, hardened ones from 2^31 on. */
  readonly path: readonly number[];
}

export interface PsbtInput {
  readonly prevout: OutPoint;
  /** The coin; undefined where the PSBT does not name it. */
  readonly spent: TxOutput | undefined;
  readonly origins: readonly PsbtOrigin[];
  /** Undefined: the default of BIP 341, all. */
  readonly hashType: number | undefined;
  /** Of the key path. */
  readonly signature: Bytes | undefined;
  /** The witness, where it is final. */
  readonly witness: readonly Bytes[] | undefined;
}

/** Everything is kept: fields of others, scripts that we do not know. */
const OPTIONS = {
  allowUnknownInputs: true,
  allowUnknownOutputs: true,
  allowUnknownVersion: true,
  disableScriptCheck: true,
  allowLegacyWitnessUtxo: true,
  unknown: 'ignore',
} as const;

/** The PSBT of a payment that nobody has signed yet, with what a signer needs to find its keys. Version 0. */
export function makePsbt(plan: TransactionPlan, changePlace: KeyPlace, wallet: Wallet): Bytes {
  const addresses = AccountAddresses.fromDescriptor(wallet.descriptor, wallet.params);
  if (!addresses.ok) throw new Error(`${wallet.path} holds ${addresses.error}`);
  const keyFields = (place: KeyPlace) => {
    const tapInternalKey = addresses.value.internalKey(place);
    const origin = originOf(wallet, place);
    if (origin === undefined) return { tapInternalKey };
    const der = { fingerprint: Number.parseInt(origin.fingerprint, 16), path: [...origin.path] };
    const derivation: [Uint8Array, { hashes: Uint8Array[]; der: typeof der }] = [tapInternalKey, { hashes: [], der }];
    return { tapInternalKey, tapBip32Derivation: [derivation] };
  };
  const draft = new Draft({ ...OPTIONS, version: plan.fields.version, lockTime: plan.fields.lockTime });
  for (const [at, coin] of plan.coins.entries()) {
    draft.addInput({
      txid: coin.prevout.txid,
      index: coin.prevout.vout,
      sequence: plan.fields.inputs[at]?.sequence as number,
      witnessUtxo: { script: coin.scriptPubKey, amount: coin.value },
      ...keyFields(coin.place),
    });
  }
  for (const [at, { value, scriptPubKey }] of plan.fields.outputs.entries()) {
    draft.addOutput({
      script: scriptPubKey,
      amount: value,
      ...(at === plan.changeIndex ? keyFields(changePlace) : {}),
    });
  }
  return draft.toPSBT(0);
}

/** The steps from the master key to the key at a place; undefined where the wallet does not know its master key. */
export function originOf({ descriptor }: Wallet, { chain, index }: KeyPlace): PsbtOrigin | undefined {
  const { origin, chains, ranged } = descriptor;
  const steps = chains[chain];
  if (origin === undefined || steps === undefined) return undefined;
  return { fingerprint: origin.fingerprint, path: [...parsePath(origin.path), ...steps, ...(ranged ? [index] : [])] };
}

/** `86h/1h/0h` as numbers. */
export function parsePath(path: string): readonly number[] {
  if (path === '') return [];
  return path.split('/').map((step) => Number.parseInt(step, 10) + (/[h']$/.test(step) ? HARDENED : 0));
}

/** A PSBT that was read. Setting a signature changes it. */
export class Psbt {
  readonly #draft: Draft;

  private constructor(draft: Draft) {
    this.#draft = draft;
  }

  /** Refuses what is no PSBT, or one whose coins are not those that its inputs name. */
  static read(bytes: Bytes): Result<Psbt, string> {
    try {
      const psbt = new Psbt(Draft.fromPSBT(bytes, OPTIONS));
      const { inputs, outputs } = psbt.fields;
      if (inputs.length === 0) return fail('it has no inputs');
      return outputs.length === 0 ? fail('it has no outputs') : ok(psbt);
    } catch (error) {
      // The library tells a bad PSBT by an exception only.
      return fail((error as Error).message);
    }
  }

  get inputs(): readonly PsbtInput[] {
    return Array.from({ length: this.#draft.inputsLength }, (_, index) => {
      const input = this.#draft.getInput(index);
      if (input.txid === undefined || input.index === undefined) throw new Error(`input ${index} spends nothing`);
      const prevout = { txid: bytesToHex(input.txid) as Txid, vout: input.index };
      return {
        prevout,
        spent: spentOutput(input, index, prevout),
        origins: originsOf(input),
        hashType: input.sighashType,
        signature: input.tapKeySig,
        witness: input.finalScriptWitness,
      };
    });
  }

  /** Where the keys of an output come from: of ours, those of the change. */
  outputOrigins(index: number): readonly PsbtOrigin[] {
    return originsOf(this.#draft.getOutput(index));
  }

  get fields(): TransactionFields {
    const draft = this.#draft;
    return {
      version: draft.version,
      lockTime: draft.lockTime,
      inputs: this.inputs.map(({ prevout, witness }, index) => {
        const { sequence = 0xffffffff, finalScriptSig = new Uint8Array(0) } = draft.getInput(index);
        return { prevout, scriptSig: finalScriptSig, sequence, witness: witness ?? [] };
      }),
      outputs: Array.from({ length: draft.outputsLength }, (_, index) => {
        const { amount, script } = draft.getOutput(index);
        if (amount === undefined || script === undefined) throw new Error(`output ${index} pays nothing`);
        return { value: amount, scriptPubKey: script };
      }),
    };
  }

  /** Sets the key path's signature of an input. */
  sign(index: number, signature: Bytes): void {
    this.#draft.updateInput(index, { tapKeySig: signature }, true);
  }

  encode(): Bytes {
    return this.#draft.toPSBT();
  }
}

function originsOf({ tapBip32Derivation }: Pick<LibraryInput, 'tapBip32Derivation'>): readonly PsbtOrigin[] {
  return (tapBip32Derivation ?? []).map(([, { der }]) => {
    return { fingerprint: der.fingerprint.toString(16).padStart(8, '0'), path: der.path };
  });
}

type LibraryInput = ReturnType<Draft['getInput']>;

/** The coin of an input. Where the whole earlier transaction is given, its id proves the coin. */
function spentOutput(input: LibraryInput, index: number, prevout: OutPoint): TxOutput | undefined {
  const { witnessUtxo, nonWitnessUtxo } = input;
  let proven: TxOutput | undefined;
  if (nonWitnessUtxo !== undefined) {
    const earlier = Draft.fromRaw(RawTx.encode(nonWitnessUtxo), OPTIONS);
    if (earlier.id !== prevout.txid)
      throw new Error(`input ${index} comes with another transaction than it spends from`);
    const { amount, script } = earlier.getOutput(prevout.vout);
    if (amount === undefined || script === undefined)
      throw new Error(`input ${index} spends an output that is not there`);
    proven = { value: amount, scriptPubKey: script };
  }
  if (witnessUtxo === undefined) return proven;
  const stated = { value: witnessUtxo.amount, scriptPubKey: witnessUtxo.script };
  const agrees = (other: TxOutput) =>
    other.value === stated.value && bytesToHex(other.scriptPubKey) === bytesToHex(stated.scriptPubKey);
  if (proven !== undefined && !agrees(proven)) throw new Error(`input ${index} states another coin than it spends`);
  return stated;
}
