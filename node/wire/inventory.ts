/** `inv`, `getdata`, `notfound`: lists of what a peer has, wants and lacks. */
import { ok } from '../../consensus/brand.ts';
import type { Offence } from '../effect.ts';
import { type PayloadCodec, tooMany } from './family.ts';
import type { Inventory, MessageOf } from './message.ts';

export const MAX_INVENTORY = 50_000;

export const inv = inventoryCodec('inv', 'too-many-inventory');
export const getdata = inventoryCodec('getdata', 'too-many-inventory');
/** Core ignores a long one instead of punishing it. */
export const notfound = inventoryCodec('notfound');

function inventoryCodec<Type extends 'inv' | 'getdata' | 'notfound'>(
  type: Type,
  offence?: Offence,
): PayloadCodec<Type> {
  return {
    read: (reader) => {
      const count = reader.size();
      if (count > MAX_INVENTORY) return tooMany('inventory items', count, MAX_INVENTORY, offence);
      const items: Inventory[] = [];
      for (let i = 0; i < count; i++) items.push({ kind: reader.u32(), hash: reader.id() });
      return ok({ type, items } as MessageOf<Type>);
    },
    write: (writer, message) => {
      writer.compact(message.items.length);
      for (const item of message.items) writer.u32(item.kind).id(item.hash);
    },
  };
}
