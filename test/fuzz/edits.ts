/**
 * Changes to bytes, texts and JSON as plain data: what was valid is spoilt by a short list of edits, which fast-check can
 * make shorter still. Positions are taken modulo the length, so that every edit means something for every input.
 */
import fc from 'fast-check';
import { bytesToHex, hexToBytes } from '#hash';
import type { Bytes } from '../../consensus/brand.ts';
import { concatBytes } from '../../consensus/codec.ts';

export type Edit =
  | readonly ['flip', at: number, bit: number]
  | readonly ['set', at: number, byte: number]
  | readonly ['cut', at: number, count: number]
  /** Bytes as hex. */
  | readonly ['insert', at: number, hex: string]
  /** So many bytes from there are there twice. */
  | readonly ['repeat', at: number, count: number]
  | readonly ['end', at: number];

const at = fc.integer({ min: 0, max: 0xffff });
/** Sizes and counts at their edges, in every width, minimal and not. */
const numbers = [
  '00',
  'fc',
  'fd0000',
  'fdfd00',
  'fdffff',
  'fe00000100',
  'fe00000002',
  'fe01000002',
  'feffffffff',
  'ff0000000001000000',
  'ffffffffffffffffff',
  '00000080',
  'ffffff7f',
  '00'.repeat(32),
  'ff'.repeat(32),
];
const piece = fc.oneof(fc.constantFrom(...numbers), fc.uint8Array({ maxLength: 12 }).map(bytesToHex));

export const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.tuple(fc.constant('flip' as const), at, fc.integer({ min: 0, max: 7 })),
  fc.tuple(fc.constant('set' as const), at, fc.constantFrom(0, 1, 0x7f, 0x80, 0xfc, 0xfd, 0xfe, 0xff)),
  fc.tuple(fc.constant('cut' as const), at, fc.integer({ min: 1, max: 64 })),
  fc.tuple(fc.constant('insert' as const), at, piece),
  fc.tuple(fc.constant('repeat' as const), at, fc.integer({ min: 1, max: 64 })),
  fc.tuple(fc.constant('end' as const), at),
);

/** None at all now and then: what is valid must be read. */
export const edits = fc.array(edit, { maxLength: 4 });

export function applyEdits(bytes: Bytes, list: readonly Edit[]): Bytes {
  let out: Bytes = bytes.slice();
  for (const one of list) {
    const place = one[1] % (out.length + 1);
    const head = out.subarray(0, place);
    switch (one[0]) {
      case 'flip':
        if (place < out.length) out[place] = (out[place] as number) ^ (1 << one[2]);
        break;
      case 'set':
        if (place < out.length) out[place] = one[2];
        break;
      case 'cut':
        out = concatBytes(head, out.subarray(place + one[2]));
        break;
      case 'insert':
        out = concatBytes(head, hexToBytes(one[2]), out.subarray(place));
        break;
      case 'repeat':
        out = concatBytes(head, out.subarray(place, place + one[2]), out.subarray(place));
        break;
      case 'end':
        out = head.slice();
        break;
    }
  }
  return out;
}

/** Bytes that were valid, as hex. */
export function spoilt(base: fc.Arbitrary<Bytes>): fc.Arbitrary<string> {
  return fc.tuple(base, edits).map(([bytes, list]) => bytesToHex(applyEdits(bytes, list)));
}

/** A text of the characters 0 to 255 that was valid. */
export function spoiltText(base: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const encoded = base.map((text) => Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff));
  return fc
    .tuple(encoded, edits)
    .map(([bytes, list]) => Array.from(applyEdits(bytes, list), (byte) => String.fromCharCode(byte)).join(''));
}

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** Values that a careless reader trips over. */
const traps: readonly Json[] = [
  null,
  true,
  false,
  0,
  -1,
  1,
  0.5,
  -0.1,
  1e21,
  1e308,
  -1e308,
  2 ** 31,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  -(2 ** 53),
  '',
  '0',
  ' ',
  '-1',
  '00',
  'ff',
  'é',
  '\u0000',
  '😀',
  '\ud800',
  '00'.repeat(32),
  'f'.repeat(64),
  'x'.repeat(3000),
  [],
  {},
  [[]],
  [null],
  ['', 0],
  JSON.parse('{"__proto__":1}') as Json,
  { constructor: 1, toString: null },
  deep(200),
];

function deep(levels: number): Json {
  let value: Json = [];
  for (let i = 0; i < levels; i++) value = [value];
  return value;
}

export const trap: fc.Arbitrary<Json> = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...traps) },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<Json> },
);

type JsonEdit = readonly ['set', at: number, value: Json] | readonly ['delete' | 'twice', at: number];

const jsonEdit: fc.Arbitrary<JsonEdit> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constant('set' as const), at, trap) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom('delete' as const, 'twice' as const), at) },
);

/** JSON that was valid: members set to something else, left out, or there twice. */
export function spoiltJson(base: fc.Arbitrary<Json>): fc.Arbitrary<Json> {
  return fc.tuple(base, fc.array(jsonEdit, { maxLength: 3 })).map(([value, list]) => list.reduce(applyJson, value));
}

function applyJson(value: Json, [how, where, trapped]: JsonEdit): Json {
  const root: { value: Json } = { value: structuredClone(value) };
  const members: { readonly of: Record<string, Json> | Json[]; readonly key: string }[] = [];
  const visit = (of: Record<string, Json> | Json[], key: string): void => {
    members.push({ of, key });
    const member = (of as Record<string, Json>)[key];
    if (typeof member !== 'object' || member === null || members.length > 500) return;
    for (const name of Object.keys(member)) visit(member as Record<string, Json>, name);
  };
  visit(root, 'value');
  const chosen = members[where % members.length];
  if (chosen === undefined) return value;
  const { of, key } = chosen;
  if (how === 'set') (of as Record<string, Json>)[key] = trapped as Json;
  else if (Array.isArray(of))
    of.splice(Number(key), 1, ...(how === 'delete' ? [] : ([of[Number(key)], of[Number(key)]] as Json[])));
  else if (of !== (root as unknown)) delete of[key];
  return root.value;
}
