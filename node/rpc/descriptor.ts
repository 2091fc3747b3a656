/** The checksum of output descriptors, BIP 380. Descriptors themselves are made by script-json.ts. */

/** Position in this text modulo 32 is the symbol of a character, the quotient its group. */
const INPUT = '0123456789()[],\'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~ijklmnopqrstuvwxyzABCDEFGH`#"\\ ';
const OUTPUT = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';

/** What the code adds for each of the five bits that fall out, in two numbers of 10 and 30 bits, as bit operations hold 32. */
const GENERATOR = [0xf5dee51989n, 0xa9fdca3312n, 0x1bab10e32dn, 0x3706b1677an, 0x644d626ffdn];
/** The sums for all 32 combinations of those bits. */
const HIGH = combinations(GENERATOR.map((word) => Number(word >> 30n)));
const LOW = combinations(GENERATOR.map((word) => Number(word & 0x3fffffffn)));

function combinations(words: readonly number[]): readonly number[] {
  return Array.from({ length: 32 }, (_, bits) =>
    words.reduce((sum, word, bit) => (((bits >>> bit) & 1) === 1 ? sum ^ word : sum), 0),
  );
}

/** The descriptor, `#` and its eight characters of checksum. */
export function withChecksum(descriptor: string): string {
  // The state of 40 bits: 10 and 30.
  let high = 0;
  let low = 1;
  const feed = (symbol: number) => {
    const top = high >>> 5;
    high = (((high & 0x1f) << 5) | (low >>> 25)) ^ (HIGH[top] as number);
    low = ((low & 0x1ffffff) << 5) ^ symbol ^ (LOW[top] as number);
  };
  let groups = 0;
  for (let i = 0; i < descriptor.length; i++) {
    const position = INPUT.indexOf(descriptor.charAt(i));
    if (position < 0) throw new Error(`a descriptor has no ${JSON.stringify(descriptor.charAt(i))}`);
    feed(position & 31);
    groups = groups * 3 + (position >>> 5);
    if (i % 3 === 2) {
      feed(groups);
      groups = 0;
    }
  }
  if (descriptor.length % 3 !== 0) feed(groups);
  for (let i = 0; i < 8; i++) feed(0);
  low ^= 1;
  let checksum = '';
  for (let i = 7; i >= 0; i--) {
    const symbol = i >= 6 ? high >>> (5 * (i - 6)) : low >>> (5 * i);
    checksum += OUTPUT[symbol & 31];
  }
  return `${descriptor}#${checksum}`;
}
