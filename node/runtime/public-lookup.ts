/**
 * Where a dial may lead that a stranger has named. A name is judged by what it resolves to, and the connection is made to
 * exactly those addresses: between the check and the use there is no second look-up that could answer otherwise.
 */
import { lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { isPublicIp } from '../discovery/address-rules.ts';

const REASON = 'leads to no public address';

/**
 * As dns.lookup, without what is not public. Fails if nothing is left, or if part of it is not public: a name with an
 * address in this house among others is a trick, and the connection would come to it when the others do not answer.
 */
export function publicLookup(resolve: LookupFunction = systemLookup as LookupFunction): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, '', 0);
      const addresses = typeof found === 'string' ? [{ address: found, family: isIP(found) }] : found;
      const first = addresses[0];
      if (first === undefined || !addresses.every(({ address }) => isPublicIp(address))) {
        return callback(new Error(`${hostname} ${REASON}`), '', 0);
      }
      if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

/** Why a literal may not be dialled for a stranger; undefined for names, which `publicLookup` judges. */
export function literalRefusal(host: string): string | undefined {
  return isIP(host) !== 0 && !isPublicIp(host) ? `${host} ${REASON}` : undefined;
}
