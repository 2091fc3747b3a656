/**
 * Whether miners earn more with a package than with what it would replace: the rule by which RULES.md B3 lets a package
 * replace. What is in the pool is cut into chunks, the sets that would be mined together; sorted by feerate, their sums
 * draw a line of fees over size. The line with the package must nowhere be below the one without it, and somewhere above.
 *
 * That is only worth computing for small things: what is replaced may have one parent or one child, and nothing else.
 */
import type { GraphEntry } from './graph.ts';

interface Chunk {
  readonly fee: bigint;
  readonly size: number;
}

/** Why the package does not improve the pool, in Core's words, or null. `replaced`: `direct` and all its descendants. */
export function checkDiagram(
  direct: ReadonlySet<GraphEntry>,
  replaced: ReadonlySet<GraphEntry>,
  fee: bigint,
  vsize: number,
): string | null {
  for (const entry of direct) {
    const tooComplex = checkTopology(entry);
    if (tooComplex !== null) return tooComplex;
  }
  const before: Chunk[] = [];
  for (const entry of replaced) if (entry.descendants.count === 1) before.push(...chunksEndingIn(entry));
  const after: Chunk[] = [{ fee, size: vsize }];
  for (const { parents } of direct) {
    for (const parent of parents) {
      if (!replaced.has(parent)) after.push({ fee: parent.modifiedFee, size: parent.vsize });
    }
  }
  return isBetter(after, before) ? null : 'insufficient feerate: does not improve feerate diagram';
}

function checkTopology({ tx, ancestors, descendants, parents, children }: GraphEntry): string | null {
  const { txid } = tx;
  if (ancestors.count > 2) return `${txid} has ${ancestors.count - 1} ancestors, max 1 allowed`;
  if (descendants.count > 2) return `${txid} has ${descendants.count - 1} descendants, max 1 allowed`;
  const [child] = children;
  const [parent] = parents;
  if (child !== undefined && parent !== undefined) {
    return `${txid} has both ancestor and descendant, exceeding cluster limit of 2`;
  }
  if (child !== undefined && child.ancestors.count > 2) {
    return `${txid} is not the only parent of child ${child.tx.txid}`;
  }
  if (parent !== undefined && parent.descendants.count > 2) {
    return `${txid} is not the only child of parent ${parent.tx.txid}`;
  }
  return null;
}

/** An entry without children and its only ancestor, if it has one: together if the child pays for the parent. */
function chunksEndingIn(entry: GraphEntry): Chunk[] {
  const own = { fee: entry.modifiedFee, size: entry.vsize };
  const whole = { fee: entry.ancestors.fees, size: entry.ancestors.vsize };
  if (entry.ancestors.count === 1) return [own];
  if (paysMore(own, whole)) return [whole];
  return [{ fee: whole.fee - own.fee, size: whole.size - own.size }, own];
}

function paysMore(a: Chunk, b: Chunk): boolean {
  return a.fee * BigInt(b.size) > b.fee * BigInt(a.size);
}

/** Two lines that bend at the ends of chunks and are level behind the last: it is enough to compare them at all bends. */
function isBetter(chunks: Chunk[], others: Chunk[]): boolean {
  const line = lineOf(chunks);
  const otherLine = lineOf(others);
  let above = false;
  for (const { size } of [...line, ...otherLine]) {
    const [fee, scale] = heightAt(line, size);
    const [otherFee, otherScale] = heightAt(otherLine, size);
    const difference = fee * otherScale - otherFee * scale;
    if (difference < 0n) return false;
    if (difference > 0n) above = true;
  }
  return above;
}

/** The ends of the chunks, the best first. */
function lineOf(chunks: readonly Chunk[]): Chunk[] {
  const sorted = [...chunks].sort((a, b) => (paysMore(a, b) ? -1 : paysMore(b, a) ? 1 : 0));
  let end: Chunk = { fee: 0n, size: 0 };
  return sorted.map(({ fee, size }) => {
    end = { fee: end.fee + fee, size: end.size + size };
    return end;
  });
}

/** The height of a line at a size, as a fraction: numerator and denominator. */
function heightAt(line: readonly Chunk[], size: number): readonly [bigint, bigint] {
  let start: Chunk = { fee: 0n, size: 0 };
  for (const end of line) {
    if (size <= end.size) {
      const width = BigInt(end.size - start.size);
      return [start.fee * width + (end.fee - start.fee) * BigInt(size - start.size), width];
    }
    start = end;
  }
  return [start.fee, 1n];
}
