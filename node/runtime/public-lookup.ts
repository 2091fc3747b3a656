/**
 * Where a dial may lead that a stranger has named. A name is judged by what it resolves to, and the connection is made to
 * exactly those addresses: between the check and the use there is no second look-up that could answer otherwise.
 *
 * The DNS is asked directly. The system's resolver would take a thread of the few that the store writes with, for as long
 * as the name server of a stranger likes to keep it; and its own names (/etc/hosts, the house's) are of no use here.
 */
import { Resolver } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { isPublicIp, isPublicName } from '../discovery/address-rules.ts';

const REASON = 'leads to no public address';
/** For the first question, and how often it is asked. A dial does not take longer. */
const DNS_TIMEOUT_MS = 1000;
const DNS_TRIES = 2;

/**
 * As dns.lookup, without what is not public. Fails if nothing is left, or if part of it is not public: a name with an
 * address in this house among others is a trick, and the connection would come to it when the others do not answer.
 */
export function publicLookup(resolve: LookupFunction = dnsLookup()): LookupFunction {
  return (hostname, options, callback) => {
    if (!isPublicName(hostname)) return callback(new Error(`${hostname} ${REASON}`), '', 0);
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

/** Both kinds of addresses of a name, from these name servers or else those of the system. */
export function dnsLookup(servers?: readonly string[]): LookupFunction {
  const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: DNS_TRIES });
  if (servers !== undefined) resolver.setServers(servers);
  return (hostname, _options, callback) => {
    Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]).then((answers) => {
      const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
      const [first] = answers;
      if (found.length === 0 && first.status === 'rejected') return callback(first.reason as Error, '', 0);
      callback(
        null,
        found.map((address) => ({ address, family: isIP(address) })),
      );
    });
  };
}

/** Why a literal may not be dialled for a stranger; undefined for names, which `publicLookup` judges. */
export function literalRefusal(host: string): string | undefined {
  return isIP(host) !== 0 && !isPublicIp(host) ? `${host} ${REASON}` : undefined;
}
