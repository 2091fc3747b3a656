/** When a process that runs for long is to end: signals, the end of its parent, or a word from inside. */
import { Exit } from './cli.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface StopSignal {
  /** Resolves when the process is to end in order. */
  readonly requested: Promise<void>;
  /** Asks for that from inside. */
  request(): void;
  /** Gives the signals back. */
  release(): void;
}

/** A second signal ends the process at once. With `withParent` the end of standard input counts as a signal. */
export function stopSignal(withParent: boolean): StopSignal {
  let asked = false;
  let resolve: () => void = () => undefined;
  const requested = new Promise<void>((settle) => {
    resolve = settle;
  });
  const request = () => {
    asked = true;
    resolve();
  };
  const onSignal = () => {
    if (asked) process.exit(Exit.failed);
    request();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  if (withParent) {
    process.stdin.on('error', request).on('end', request).on('close', request);
    process.stdin.resume();
  }
  return {
    requested,
    request,
    release() {
      for (const signal of SIGNALS) process.off(signal, onSignal);
      if (withParent) process.stdin.destroy();
    },
  };
}
