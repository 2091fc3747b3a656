/**
 * The row of the store that remembers block-only peers from one run to the next. Whoever makes a node restart cannot choose
 * all its peers, as long as it goes back to some that it had chosen by itself. RULES.md C4, "anchors".
 */
import type { Bytes } from '../../consensus/brand.ts';
import type { DialTarget } from '../boundary.ts';
import { StoreDamage } from '../ports.ts';

/** It is read once, deleted with the first event, and written when the node stops in order. */
export const ANCHORS_KEY = 'nanchors';

/** JSON of dial targets; null where there are none: no row. */
export function encodeAnchors(anchors: readonly DialTarget[]): Bytes | null {
  return anchors.length === 0 ? null : new TextEncoder().encode(JSON.stringify(anchors));
}

/** Throws StoreDamage where the row cannot be read. */
export function readAnchors(row: Bytes | undefined): readonly DialTarget[] {
  if (row === undefined) return [];
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(row));
  } catch {
    throw new StoreDamage(`the record ${ANCHORS_KEY} cannot be read`);
  }
  if (!Array.isArray(value) || !value.every(isTarget))
    throw new StoreDamage(`the record ${ANCHORS_KEY} cannot be read`);
  return value;
}

function isTarget(value: unknown): value is DialTarget {
  if (typeof value !== 'object' || value === null) return false;
  const { transport, host, port, path } = value as Record<keyof DialTarget, unknown>;
  const isKnown = transport === 'ws' || transport === 'wss' || transport === 'tcp';
  const isPort = typeof port === 'number' && Number.isInteger(port) && port > 0 && port <= 0xffff;
  return isKnown && typeof host === 'string' && isPort && (path === undefined || typeof path === 'string');
}
