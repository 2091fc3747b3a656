/** Methods about output descriptors and scripts. */
import { hexToBytes } from '#hash';
import { scriptAddress } from '../../consensus/address.ts';
import { fail, ok, type Result } from '../../consensus/brand.ts';
import type { ChainParams } from '../../consensus/params.ts';
import { command, error, RpcCode, type RpcError, result } from './answer.ts';
import {
  checksumOf,
  type Descriptor,
  type ExpandedScript,
  expandDescriptor,
  formatDescriptor,
  isRanged,
  parseDescriptor,
  withChecksum,
} from './descriptor.ts';
import { isHex, jsonType } from './json.ts';
import { method, type RpcMethod } from './method.ts';
import { anyOf, list, optional, type Param, readInteger, text, wrongType } from './params.ts';
import { scriptJson } from './script-json.ts';

/** Keys that one call derives: each takes about a millisecond, and the node does nothing else meanwhile. */
export const MAX_DERIVED = 1001;
/** Longest script that decodescript writes out: ten times what any script that can be spent has. */
const MAX_SHOWN_SCRIPT = 100_000;
/** The last index of descriptors that name no range. */
const DEFAULT_LAST_INDEX = 1000;

type Range = readonly [first: number, last: number];

/** The end of a range, or its beginning and end. */
function readRange(value: unknown): Result<Range, RpcError> {
  const members = typeof value === 'number' ? [0, value] : value;
  if (!Array.isArray(members) || members.length !== 2 || members.some((member) => typeof member !== 'number')) {
    return refuse('Range must be specified as end or as [begin,end]');
  }
  const [first, last] = members.map((member) =>
    readInteger(member, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
  ) as [Result<number, RpcError>, Result<number, RpcError>];
  if (!first.ok) return first;
  if (!last.ok) return last;
  if (Array.isArray(value) && first.value > last.value) {
    return refuse('Range specified as [begin,end] must not have begin after end');
  }
  if (first.value < 0) return refuse('Range should be greater or equal than 0');
  if (last.value < 0 || last.value >= 2 ** 31) return refuse('End of range is too high');
  if (last.value >= first.value + 1_000_000) return refuse('Range is too large');
  if (last.value >= first.value + MAX_DERIVED) return refuse(tooMany);
  return ok([first.value, last.value]);
}

const tooMany = `At most ${MAX_DERIVED} scripts are derived in one call: ask for smaller ranges`;

/** Descriptors, or objects with a descriptor and a range. */
export function scanObjects(description: string): Param<readonly unknown[]> {
  return list('["desc" or {"desc":"str","range":n or [n,n]},...]', description, ok);
}

/** The scripts that such a list stands for. */
export function readScanObjects(
  given: readonly unknown[],
  params: ChainParams,
): Result<readonly ExpandedScript[], RpcError> {
  const asked: { readonly desc: string; readonly descriptor: Descriptor; readonly range: Range }[] = [];
  let count = 0;
  for (const one of given) {
    const read = readScanObject(one);
    if (!read.ok) return read;
    const descriptor = parseDescriptor(read.value.desc, params);
    if (!descriptor.ok) return fail(error(RpcCode.addressOrKey, descriptor.error));
    const [first, last] = isRanged(descriptor.value) ? read.value.range : [0, 0];
    count += last - first + 1;
    if (count > MAX_DERIVED) return refuse(tooMany);
    asked.push({ desc: read.value.desc, descriptor: descriptor.value, range: [first, last] });
  }
  const scripts: ExpandedScript[] = [];
  for (const { desc, descriptor, range } of asked) {
    const expanded = expandDescriptor(descriptor, range);
    if (!expanded.ok) return fail(error(RpcCode.addressOrKey, `${expanded.error}: '${desc}'`));
    scripts.push(...expanded.value);
  }
  return ok(scripts);
}

function readScanObject(given: unknown): Result<{ readonly desc: string; readonly range: Range }, RpcError> {
  const range: Range = [0, DEFAULT_LAST_INDEX];
  if (typeof given === 'string') return ok({ desc: given, range });
  if (jsonType(given) !== 'object') return refuse('Scan object needs to be either a string or an object');
  const { desc, range: asked } = given as Readonly<Record<string, unknown>>;
  if (desc === undefined || desc === null) return refuse('Descriptor needs to be provided in scan object');
  if (typeof desc !== 'string') return fail(wrongType(desc, 'string'));
  if (asked === undefined || asked === null) return ok({ desc, range });
  const read = readRange(asked);
  return read.ok ? ok({ desc, range: read.value }) : read;
}

function refuse(message: string): Result<never, RpcError> {
  return fail(error(RpcCode.parameter, message));
}

export const descriptorMethods: readonly RpcMethod[] = [
  method({
    name: 'getdescriptorinfo',
    category: 'util',
    description: 'Checks an output descriptor, and shows it in its canonical form with its checksum.',
    params: { descriptor: text('The descriptor, with or without checksum') },
    result: '{ "descriptor", "checksum", "isrange", "issolvable", "hasprivatekeys" }    (object)',
    example: '"tr(79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798)"',
    run: ({ params }, { descriptor }) => {
      const parsed = parseDescriptor(descriptor, params);
      if (!parsed.ok) return error(RpcCode.addressOrKey, parsed.error);
      return result({
        descriptor: withChecksum(formatDescriptor(parsed.value)),
        checksum: checksumOf(descriptor.replace(/#.*$/, '')),
        isrange: isRanged(parsed.value),
        issolvable: 'key' in parsed.value,
        hasprivatekeys: false,
      });
    },
  }),

  method({
    name: 'deriveaddresses',
    category: 'util',
    description: 'The addresses that a descriptor stands for.',
    params: {
      descriptor: text('The descriptor, with its checksum'),
      range: optional(
        anyOf(
          'range',
          'numeric or array',
          'Of a ranged descriptor: the last index, or the first and the last',
          readRange,
        ),
      ),
    },
    result: '[ "address", ... ]    (array)',
    example: '"tr(tpub.../0/*)#checksum" "[0,2]"',
    run: ({ params }, { descriptor, range }) => {
      const parsed = parseDescriptor(descriptor, params, { requireChecksum: true });
      if (!parsed.ok) return error(RpcCode.addressOrKey, parsed.error);
      const ranged = isRanged(parsed.value);
      if (!ranged && range !== undefined) {
        return error(RpcCode.parameter, 'Range should not be specified for an un-ranged descriptor');
      }
      if (ranged && range === undefined) {
        return error(RpcCode.parameter, 'Range must be specified for a ranged descriptor');
      }
      const expanded = expandDescriptor(parsed.value, range ?? [0, 0]);
      if (!expanded.ok) return error(RpcCode.addressOrKey, expanded.error);
      const addresses: string[] = [];
      for (const { script } of expanded.value) {
        const address = scriptAddress(script, params);
        if (address === undefined) {
          return error(RpcCode.addressOrKey, 'Descriptor does not have a corresponding address');
        }
        addresses.push(address);
      }
      return result(addresses);
    },
  }),

  method({
    name: 'decodescript',
    category: 'rawtransactions',
    description:
      'A script as text, its kind, and its address. Addresses of older kinds, which nothing here pays, are left out.',
    params: { hexstring: text('The script, hex') },
    result: '{ "asm", "desc", "type", "address" }    (object)',
    example: '"hexstring"',
    run: ({ params }, { hexstring }) => {
      if (hexstring !== '' && !isHex(hexstring)) {
        return error(RpcCode.parameter, `argument must be hexadecimal string (not '${hexstring}')`);
      }
      if (hexstring.length > 2 * MAX_SHOWN_SCRIPT) {
        return error(RpcCode.parameter, `A script of more than ${MAX_SHOWN_SCRIPT} bytes is not shown`);
      }
      const { hex: _, ...script } = scriptJson(hexToBytes(hexstring), params) as Readonly<Record<string, string>>;
      return result(script);
    },
  }),

  method({
    name: 'scantxoutset',
    category: 'blockchain',
    description:
      'The coins of the scripts that descriptors stand for, by the index of scripts: nothing else is read, and "txouts"\n' +
      'counts the coins that were found. A scan ends before another call can ask for it, so that "status" is always null\n' +
      'and "abort" false.',
    params: {
      action: text('start, status or abort'),
      scanobjects: optional(scanObjects('What to look for: addr(), raw(), tr() and rawtr() descriptors')),
    },
    result:
      '{ "success", "txouts", "height", "bestblock", "unspents": [ { "txid", "vout", "scriptPubKey", "desc", "amount",\n' +
      '"coinbase", "height", "blockhash", "confirmations" }, ... ], "total_amount" }    (object)',
    example: 'start \'["addr(address)"]\'',
    run: ({ params }, { action, scanobjects }) => {
      if (action === 'status') return result(null);
      if (action === 'abort') return result(false);
      if (action !== 'start') return error(RpcCode.parameter, `Invalid action '${action}'`);
      if (scanobjects === undefined) {
        return error(RpcCode.misc, 'scanobjects argument is required for the start action');
      }
      const scripts = readScanObjects(scanobjects, params);
      return scripts.ok ? command({ type: 'coin-scan', scripts: scripts.value }) : scripts.error;
    },
  }),
];
