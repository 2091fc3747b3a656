/** Why a node cannot start, as something that its user can act on. The command prints it; nothing here knows how. */

export type StartErrorCode =
  | 'address-unavailable'
  | 'datadir-in-use'
  | 'datadir-newer'
  | 'datadir-not-writable'
  | 'datadir-other-network'
  | 'datadir-other-chain'
  | 'datadir-damaged'
  | 'port-not-allowed'
  | 'port-taken'
  | 'verifier-unavailable';

export class StartError extends Error {
  override readonly name = 'StartError';
  readonly code: StartErrorCode;
  readonly hint: string | undefined;

  constructor(code: StartErrorCode, message: string, hint?: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

/** The `code` of an error of the operating system or of LevelDB (`EADDRINUSE`, `LEVEL_LOCKED`), or undefined. */
export function systemCode(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

export function errorText(error: unknown): string {
  const message = typeof error === 'object' && error !== null && 'message' in error ? error.message : error;
  return String(message);
}
