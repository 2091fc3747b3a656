/**
 * Published test vectors. `test/vectors/` holds a compact set of the facts in one format of our own: `source` names where
 * they come from, `cases` lists them. The complete published files are not part of the repository; where a folder with them
 * exists (`GRAPEVINE_VECTORS`, or `../shared/vectors` beside the repository) they are read into the same shape.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { decodeCompact } from '../../consensus/pow.ts';

const root = resolve(import.meta.dirname, '../..');
const publishedFolder = process.env['GRAPEVINE_VECTORS'] ?? join(root, '../shared/vectors');

/** A set of cases, and where it comes from. */
export interface VectorFile<Case> {
  readonly source: string;
  readonly cases: readonly Case[];
}

/** BIP 340: all bytes in hex. */
export interface SchnorrCase {
  readonly name: string;
  readonly secret?: string;
  readonly publicKey: string;
  readonly aux?: string;
  readonly message: string;
  readonly signature: string;
  readonly valid: boolean;
}

/** BIP 341: an internal key and what it becomes. Addresses are mainnet's. */
export interface OutputKeyCase {
  readonly internalKey: string;
  readonly merkleRoot: string | null;
  readonly tweak: string;
  readonly outputKey: string;
  readonly script: string;
  readonly address: string;
}

/** BIP 341: a transaction, some of whose inputs are key-path spends. */
export interface KeyPathCase {
  readonly unsignedTx: string;
  readonly spent: readonly { readonly script: string; readonly value: number }[];
  readonly midstates: {
    readonly prevouts: string;
    readonly amounts: string;
    readonly scriptPubKeys: string;
    readonly sequences: string;
    readonly outputs: string;
  };
  readonly inputs: readonly {
    readonly index: number;
    readonly hashType: number;
    readonly secret: string;
    readonly merkleRoot: string | null;
    readonly tweakedSecret: string;
    readonly message: string;
    readonly sighash: string;
    readonly witness: string;
  }[];
}

/** BIP 350: an address of the network with that HRP: its script, or the code of the error that we answer with. */
export interface AddressCase {
  readonly address: string;
  readonly hrp: string;
  readonly script?: string;
  readonly error?: string;
  /** What BIP 350 says of it. */
  readonly reason: string;
}

/** BIP 86: a path of the mnemonic, mainnet. */
export interface DerivationCase {
  readonly mnemonic: string;
  readonly path: string;
  readonly xprv: string;
  readonly xpub: string;
  readonly internalKey: string;
  readonly outputKey: string;
  readonly script: string;
  readonly address: string;
}

/** aserti3-2d: targets in hex; `elapsed` and `blocks` as in `asertTarget`, decimal because some exceed what a number holds. */
export interface AsertCase {
  readonly anchorTarget: string;
  readonly spacing: number;
  readonly halfLife: number;
  readonly elapsed: string;
  readonly blocks: string;
  readonly powLimit: string;
  readonly bits: string;
}

export function readSchnorrVectors(): VectorFile<SchnorrCase>[] {
  return both('bip340.json', 'bip340.csv', parseSchnorr);
}

export function readOutputKeyVectors(): VectorFile<OutputKeyCase>[] {
  return both('bip341-output-keys.json', 'bip341.json', parseOutputKeys);
}

export function readKeyPathVectors(): VectorFile<KeyPathCase>[] {
  return both('bip341-key-path.json', 'bip341.json', parseKeyPath);
}

export function readAddressVectors(): VectorFile<AddressCase> {
  return compact('bip350.json');
}

export function readDerivationVectors(): VectorFile<DerivationCase> {
  return compact('bip86.json');
}

function compact<Case>(name: string): VectorFile<Case> {
  return JSON.parse(readFileSync(join(root, 'test/vectors', name), 'utf8')) as VectorFile<Case>;
}

/** The compact set, and the published file after it where there is one. */
function both<Case>(name: string, published: string, parse: (text: string) => Case[]): VectorFile<Case>[] {
  const path = join(publishedFolder, published);
  const files = [compact<Case>(name)];
  if (existsSync(path))
    files.push({ source: `the published file ${published}`, cases: parse(readFileSync(path, 'utf8')) });
  return files;
}

export function readAsertVectors(): VectorFile<AsertCase>[] {
  const runs = join(publishedFolder, 'asert');
  const files = existsSync(runs) ? readdirSync(runs).filter((name) => /^run\d+$/.test(name)) : [];
  return [
    ...both('asert.json', 'asert-reference.json', parseAsertRows),
    ...files.map((name) => ({
      source: `the published run ${name}`,
      cases: parseAsertRun(readFileSync(join(runs, name), 'utf8')),
    })),
  ];
}

/** Rows of Bitcoin ABC's unit test. */
function parseAsertRows(json: string): AsertCase[] {
  const rows = JSON.parse(json) as {
    refTarget: string;
    spacing: number;
    halflife: number;
    timeDeltaFromAnchorParent: number;
    heightDelta: number;
    powLimit: string;
    expectedBits: string;
  }[];
  return rows.map((row) => ({
    anchorTarget: row.refTarget,
    spacing: row.spacing,
    halfLife: row.halflife,
    elapsed: String(row.timeDeltaFromAnchorParent),
    blocks: String(row.heightDelta + 1),
    powLimit: row.powLimit,
    bits: row.expectedBits,
  }));
}

/** BCHN's runs: a head that says what the anchor is, then a line per block: iteration, height, time, bits of the next one. */
function parseAsertRun(text: string): AsertCase[] {
  const field = (name: string) => new RegExp(`^##\\s+anchor ${name}: (\\S+)`, 'm').exec(text)?.[1] as string;
  const anchorTarget = (decodeCompact(Number(field('nBits'))) as bigint).toString(16);
  const parentTime = BigInt(field('(?:ancestor|parent) time'));
  const powLimit = (decodeCompact(0x1d00ffff) as bigint).toString(16);
  const lines = text.split('\n').filter((line) => /^\d/.test(line));
  return lines.map((line) => {
    const [, height, time, bits] = line.trim().split(/\s+/) as [string, string, string, string];
    const blocks = BigInt(height) - BigInt(field('height')) + 1n;
    const elapsed = BigInt(time) - parentTime;
    return {
      ...{ anchorTarget, powLimit, spacing: 600, halfLife: 172_800 },
      ...{ elapsed: String(elapsed), blocks: String(blocks), bits: bits.slice(2) },
    };
  });
}

/** bip-0340/test-vectors.csv: a line per case; only the last column, the comment, can hold a comma. */
export function parseSchnorr(csv: string): SchnorrCase[] {
  const lines = csv.trim().split(/\r?\n/).slice(1);
  return lines.map((line) => {
    const [index, secret, publicKey, aux, message, signature, result, ...comment] = line.split(',') as string[];
    const hex = (text: string | undefined) => (text ?? '').toLowerCase();
    return {
      name: [index, comment.join(',')].filter((part) => part !== '').join(': '),
      ...(secret === '' ? {} : { secret: hex(secret), aux: hex(aux) }),
      publicKey: hex(publicKey),
      message: hex(message),
      signature: hex(signature),
      valid: result === 'TRUE',
    };
  });
}

/** bip-0341/wallet-test-vectors.json, as far as it is read. */
interface PublishedTaproot {
  readonly scriptPubKey: readonly {
    readonly given: { readonly internalPubkey: string };
    readonly intermediary: {
      readonly merkleRoot: string | null;
      readonly tweak: string;
      readonly tweakedPubkey: string;
    };
    readonly expected: { readonly scriptPubKey: string; readonly bip350Address: string };
  }[];
  readonly keyPathSpending: readonly {
    readonly given: {
      readonly rawUnsignedTx: string;
      readonly utxosSpent: readonly { readonly scriptPubKey: string; readonly amountSats: number }[];
    };
    readonly intermediary: {
      readonly hashPrevouts: string;
      readonly hashAmounts: string;
      readonly hashScriptPubkeys: string;
      readonly hashSequences: string;
      readonly hashOutputs: string;
    };
    readonly inputSpending: readonly {
      readonly given: {
        readonly txinIndex: number;
        readonly hashType: number;
        readonly internalPrivkey: string;
        readonly merkleRoot: string | null;
      };
      readonly intermediary: { readonly tweakedPrivkey: string; readonly sigMsg: string; readonly sigHash: string };
      readonly expected: { readonly witness: readonly string[] };
    }[];
  }[];
}

export function parseOutputKeys(json: string): OutputKeyCase[] {
  const { scriptPubKey } = JSON.parse(json) as PublishedTaproot;
  return scriptPubKey.map(({ given, intermediary, expected }) => ({
    internalKey: given.internalPubkey,
    merkleRoot: intermediary.merkleRoot,
    tweak: intermediary.tweak,
    outputKey: intermediary.tweakedPubkey,
    script: expected.scriptPubKey,
    address: expected.bip350Address,
  }));
}

export function parseKeyPath(json: string): KeyPathCase[] {
  const { keyPathSpending } = JSON.parse(json) as PublishedTaproot;
  return keyPathSpending.map(({ given, intermediary, inputSpending }) => ({
    unsignedTx: given.rawUnsignedTx,
    spent: given.utxosSpent.map(({ scriptPubKey, amountSats }) => ({ script: scriptPubKey, value: amountSats })),
    midstates: {
      prevouts: intermediary.hashPrevouts,
      amounts: intermediary.hashAmounts,
      scriptPubKeys: intermediary.hashScriptPubkeys,
      sequences: intermediary.hashSequences,
      outputs: intermediary.hashOutputs,
    },
    inputs: inputSpending.map((input) => ({
      index: input.given.txinIndex,
      hashType: input.given.hashType,
      secret: input.given.internalPrivkey,
      merkleRoot: input.given.merkleRoot,
      tweakedSecret: input.intermediary.tweakedPrivkey,
      message: input.intermediary.sigMsg,
      sighash: input.intermediary.sigHash,
      witness: input.expected.witness[0] as string,
    })),
  }));
}
