/**
 * Networks are values: everything that differs between chains, and the constants that do not.
 * RULES.md F (regtest). A new network is a new ChainParams, never a branch in the code.
 */

import { hexToBytes } from '#hash';
import { type Block, readBlock } from './block.ts';
import type { BlockHash } from './brand.ts';
import { decode } from './codec.ts';
import { makeGenesis } from './genesis.ts';

export const COIN = 100_000_000n;
export const MAX_MONEY = 21_000_000n * COIN;
export const MAX_BLOCK_WEIGHT = 4_000_000;
export const MAX_BLOCK_SIGOPS_COST = 80_000;
export const WITNESS_SCALE = 4;
export const COINBASE_MATURITY = 100;
export const MAX_TIMEWARP_SECONDS = 600;
export const MEDIAN_TIME_SPAN = 11;

/** A built-in network, or the one of a chain file: see `defineNetwork`. */
export type NetworkName = string;

/** How the difficulty follows the hash rate: RULES.md A11, asert.ts. */
export interface Retargeting {
  /** Seconds from block to block that the difficulty aims at. */
  readonly spacing: number;
  /** A chain that is late by so many seconds has half the difficulty. */
  readonly halfLife: number;
  /** The `bits` of block 1, from which the schedule begins. */
  readonly anchorBits: number;
}

export interface ChainParams {
  readonly name: NetworkName;
  /** The four bytes that begin every peer message, in wire order. */
  readonly magic: Uint8Array;
  readonly defaultPort: number;
  readonly defaultRpcPort: number;
  /** Human-readable part of bech32m addresses. */
  readonly hrp: string;
  /** BIP 32 version bytes of extended keys, and the coin type of BIP 86 paths. */
  readonly bip32: { readonly public: number; readonly private: number };
  readonly coinType: number;
  readonly genesis: Block;
  /** Easiest allowed target, and its compact form. */
  readonly powLimit: bigint;
  readonly powLimitBits: number;
  /** Undefined where every block has the bits of `powLimit`. */
  readonly retargeting: Retargeting | undefined;
  /** Blocks between halvings of the subsidy, and the first subsidy in satoshis. */
  readonly halvingInterval: number;
  readonly initialSubsidy: bigint;
  /** Blocks per BIP 94 period, or undefined where the rule is off. */
  readonly timewarpInterval: number | undefined;
  readonly maxFutureSeconds: number;
  readonly minimumVersion: number;
  /** Total work below which headers of a peer are not stored. */
  readonly minimumChainWork: bigint;
  /** Loopback and private addresses are gossiped and dialled like public ones. */
  readonly loopbackRoutable: boolean;
  /** Nodes to begin with: ws://, wss:// or tcp:// URLs. */
  readonly seeds: readonly string[];
  /** The signatures of this block and of its ancestors are known to hold: they are not verified again. */
  readonly assumeValid?: BlockHash | undefined;
}

const GENESIS_HEX = [
  '0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e6776',
  '8f617fc81bc3888a51323a9fb8aa4b1e5e4adae5494dffff7f20020000000101000000010000000000000000000000000000',
  '000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f3230',
  '3039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73',
  'ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6',
  'bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000',
].join('');

/** Bitcoin's regtest, byte for byte. */
export const regtest: ChainParams = {
  name: 'regtest',
  magic: hexToBytes('fabfb5da'),
  defaultPort: 18444,
  defaultRpcPort: 18443,
  hrp: 'bcrt',
  bip32: { public: 0x043587cf, private: 0x04358394 },
  coinType: 1,
  genesis: genesisBlock(),
  powLimit: (1n << 255n) - 1n,
  powLimitBits: 0x207fffff,
  retargeting: undefined,
  halvingInterval: 150,
  initialSubsidy: 50n * COIN,
  timewarpInterval: 144,
  maxFutureSeconds: 7200,
  minimumVersion: 4,
  minimumChainWork: 0n,
  loopbackRoutable: true,
  seeds: [],
};

/**
 * The public network with real difficulty. RULES.md A12. Its genesis is made by `makeGenesis`; the nonce was found once by
 * `findGenesisNonce` (`grapevine chain genesis` does it again).
 */
export const vinenet: ChainParams = {
  name: 'vinenet',
  magic: hexToBytes('f9766ed1'),
  defaultPort: 28444,
  defaultRpcPort: 28443,
  hrp: 'gv',
  bip32: { public: 0x043587cf, private: 0x04358394 },
  coinType: 1,
  genesis: makeGenesis({
    text: 'Grapevine vinenet: a rumour is only as good as the work behind it',
    time: 1_767_225_600,
    bits: 0x1f00ffff,
    nonce: 81_523,
    value: 50n * COIN,
  }),
  powLimit: 0xffffn << 224n,
  powLimitBits: 0x1f00ffff,
  retargeting: { spacing: 10, halfLife: 2880, anchorBits: 0x1e03ffff },
  halvingInterval: 210_000,
  initialSubsidy: 50n * COIN,
  timewarpInterval: undefined,
  maxFutureSeconds: 144,
  minimumVersion: 4,
  minimumChainWork: 0n,
  loopbackRoutable: false,
  seeds: [],
};

/** By name: the built-in ones, and after `defineNetwork` others. */
const networks = new Map<NetworkName, ChainParams>([regtest, vinenet].map((params) => [params.name, params]));

/** The built-in ones. */
export const networkNames: readonly string[] = [...networks.keys()];

/** The network of that name, or undefined. */
export function networkByName(name: string): ChainParams | undefined {
  return networks.get(name);
}

/** Makes a network known to this process by its name: that of a chain file which the user named. Built-in ones stay. */
export function defineNetwork(params: ChainParams): void {
  if (networkNames.includes(params.name)) throw new Error(`${params.name} is a built-in network`);
  networks.set(params.name, params);
}

/** Newly minted satoshis at `height` (`GetBlockSubsidy`); zero from 64 halvings on. */
export function subsidyAt(height: number, params: ChainParams): bigint {
  const halvings = Math.floor(height / params.halvingInterval);
  return halvings >= 64 ? 0n : params.initialSubsidy >> BigInt(halvings);
}

/** Bitcoin's genesis transaction (2009) under regtest's header. It is hard-coded and never checked. */
function genesisBlock(): Block {
  const block = decode(hexToBytes(GENESIS_HEX), readBlock);
  if (!block.ok) throw new Error(`the built-in genesis block is damaged: ${block.error}`);
  return block.value;
}
