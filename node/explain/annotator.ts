/** Reads bytes and remembers what each of them was, so that they can be shown beside their meaning. */
import { type Bytes, fail, ok, type Result } from '../../consensus/brand.ts';
import { decode, type Reader } from '../../consensus/codec.ts';

/** Some bytes and what they mean. */
export interface Field {
  readonly offset: number;
  readonly bytes: Bytes;
  /** `inputs[0].sequence`. */
  readonly name: string;
  /** The decoded value: an integer (amounts in satoshis) or an id; undefined for bytes that are neither. */
  readonly value: number | bigint | string | undefined;
  /** The value in words. */
  readonly meaning: string;
}

/** Why bytes are not what they were taken for, and where that shows. */
export interface Misfit {
  readonly offset: number;
  readonly message: string;
}

export class Annotator {
  readonly reader: Reader;
  readonly fields: Field[] = [];
  /** The field that is being read. */
  current = '';

  constructor(reader: Reader) {
    this.reader = reader;
  }

  /** Reads one field; `show` says what its value means. */
  field<T extends number | bigint | string | Bytes>(
    name: string,
    read: (reader: Reader) => T,
    show: (value: T) => string,
  ): T {
    this.current = name;
    const offset = this.reader.position;
    const value = read(this.reader);
    this.fields.push({
      offset,
      bytes: this.reader.bytes.slice(offset, this.reader.position),
      name,
      value: typeof value === 'object' ? undefined : value,
      meaning: show(value),
    });
    return value;
  }

  /** The bytes from an offset to where the reader is. */
  since(offset: number): Bytes {
    return this.reader.bytes.slice(offset, this.reader.position);
  }
}

/** Annotates all of `bytes`. `what` names it in the message. */
export function annotate<T>(
  bytes: Bytes,
  what: string,
  read: (annotator: Annotator) => T,
): Result<{ value: T; fields: readonly Field[] }, Misfit> {
  let annotator: Annotator | undefined;
  let isRead = false;
  const value = decode(bytes, (reader) => {
    annotator = new Annotator(reader);
    const result = read(annotator);
    isRead = true;
    return result;
  });
  if (annotator === undefined) throw new Error('the decoder was not called');
  const { fields, reader, current } = annotator;
  if (value.ok) return ok({ value: value.value, fields });
  const offset = reader.position;
  const where = isRead ? `after the ${what}` : `${what}, ${current}`;
  return fail({ offset, message: `at offset ${offset} (${where}): ${value.error}` });
}
