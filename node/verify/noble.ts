/** The signature backend in plain JavaScript: slow, runs everywhere, and decides where a fast backend says no. */
import { verifySchnorr } from '../../consensus/signature.ts';
import type { Backend } from './backend.ts';

export const nobleBackend: Backend = { name: 'noble', library: 'noble (JavaScript)', verify: verifySchnorr };
