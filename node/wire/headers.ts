/** `getheaders` and `headers`: the chain of headers behind a locator. */
import { type BlockHeader, encodeHeader, readHeader } from '../../consensus/block.ts';
import { type BlockHash, ok } from '../../consensus/brand.ts';
import { type PayloadCodec, tooMany } from './family.ts';

export const MAX_HEADERS = 2000;
export const MAX_LOCATOR = 101;

export const getheaders: PayloadCodec<'getheaders'> = {
  read: (reader) => {
    const version = reader.u32();
    const count = reader.size();
    if (count > MAX_LOCATOR) return tooMany('locator hashes', count, MAX_LOCATOR, 'locator-too-long');
    const locator: BlockHash[] = [];
    for (let i = 0; i < count; i++) locator.push(reader.id<BlockHash>());
    return ok({ type: 'getheaders', version, locator, stop: reader.id<BlockHash>() });
  },
  write: (writer, { version, locator, stop }) => {
    writer.u32(version).compact(locator.length);
    for (const hash of locator) writer.id(hash);
    writer.id(stop);
  },
};

export const headers: PayloadCodec<'headers'> = {
  read: (reader) => {
    const count = reader.size();
    if (count > MAX_HEADERS) return tooMany('headers', count, MAX_HEADERS, 'too-many-headers');
    const list: BlockHeader[] = [];
    for (let i = 0; i < count; i++) {
      list.push(readHeader(reader));
      // The transaction count of a block that has none here; Core does not look at its value either.
      reader.size();
    }
    return ok({ type: 'headers', headers: list });
  },
  write: (writer, message) => {
    writer.compact(message.headers.length);
    for (const header of message.headers) writer.raw(encodeHeader(header)).compact(0);
  },
};
