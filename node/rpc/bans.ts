/** Bans by the user: `setban`, `listbanned`, `clearbanned`. What a ban does is in peer/bans.ts and node.ts. */
import type { UnixSeconds } from '../boundary.ts';
import type { Ban } from '../peer/bans.ts';
import { formatIp } from '../wire/ip.ts';
import { formatSubnet, isWithin, parseSubnet, type Subnet, subnetKey } from '../wire/subnet.ts';
import { command, error, nothing, RpcCode, type RpcReply, result } from './answer.ts';
import { method, type RpcMethod } from './method.ts';
import { bool, defaulted, long, text } from './params.ts';

const DEFAULT_SECONDS = 86_400;

/** The answer to the command `ban`. */
export function banAnswer(banned: boolean): RpcReply {
  return banned ? nothing : error(RpcCode.misc, 'Error: Too many IPs and subnets are banned; remove one first');
}

/** The answer to the command `unban`. */
export function unbanAnswer(found: boolean): RpcReply {
  const message = 'Error: Unban failed. Requested address/subnet was not previously manually banned.';
  return found ? nothing : error(RpcCode.invalidIpOrSubnet, message);
}

/** A subnet is banned if exactly it is; an address also if it is within one that is. */
function isBanned(bans: readonly Ban[], subnet: Subnet, isAddress: boolean): boolean {
  const host = formatIp(subnet);
  const key = subnetKey(subnet);
  return bans.some((ban) => (isAddress ? isWithin(host, ban.subnet) : subnetKey(ban.subnet) === key));
}

/** 0 and less stand for the usual time, as in Core, whether it is a span or a moment. */
function endOf(time: number, absolute: boolean, now: UnixSeconds): UnixSeconds {
  if (time <= 0) return now + DEFAULT_SECONDS;
  return absolute ? time : Math.min(now + time, Number.MAX_SAFE_INTEGER);
}

export const banMethods: readonly RpcMethod[] = [
  setBan(),

  method({
    name: 'listbanned',
    category: 'network',
    description: 'The addresses and subnets that are banned.',
    params: {},
    result:
      '[ { "address", "ban_created", "banned_until", "ban_duration", "time_remaining" }, ... ]    (array of objects)',
    example: '',
    run: ({ bans, now }) =>
      result(
        bans().map(({ subnet, created, until }) => ({
          address: formatSubnet(subnet),
          ban_created: created,
          banned_until: until,
          ban_duration: until - created,
          time_remaining: until - now.unix,
        })),
      ),
  }),

  method({
    name: 'clearbanned',
    category: 'network',
    description: 'Ends all bans.',
    params: {},
    result: 'null',
    example: '',
    run: () => command({ type: 'clear-bans' }),
  }),
];

function setBan(): RpcMethod {
  const setBan: RpcMethod = method({
    name: 'setban',
    category: 'network',
    description:
      'Bans an address or a subnet ("add") or ends the ban ("remove"). Links to it are closed; it is neither dialled nor\n' +
      'answered, except that addnode "onetry" dials it all the same.',
    params: {
      subnet: text('An IP address, or with a mask: 192.168.0.0/24, 192.168.0.0/255.255.255.0, fd00::/8'),
      command: text('add or remove'),
      bantime: defaulted(long('Seconds, or the moment in seconds since 1970 if absolute; 0 for 24 hours'), 0),
      absolute: defaulted(bool('bantime is a moment'), false),
    },
    result: 'null',
    example: '"192.168.0.6" "add" 86400',
    run: ({ bans, now }, { subnet: given, command: how, bantime, absolute }) => {
      if (how !== 'add' && how !== 'remove') return error(RpcCode.misc, setBan.help);
      const subnet = parseSubnet(given);
      if (subnet === undefined) return error(RpcCode.invalidIpOrSubnet, 'Error: Invalid IP/Subnet');
      if (how === 'remove') return command({ type: 'unban', subnet });
      if (isBanned(bans(), subnet, !given.includes('/'))) {
        return error(RpcCode.nodeAlreadyAdded, 'Error: IP/Subnet already banned');
      }
      if (absolute && bantime < now.unix) {
        return error(RpcCode.parameter, 'Error: Absolute timestamp is in the past');
      }
      return command({ type: 'ban', subnet, until: endOf(bantime, absolute, now.unix) });
    },
  });
  return setBan;
}
