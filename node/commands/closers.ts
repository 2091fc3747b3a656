/** What a process has opened, and how it is closed in the end. */

export type Closer = () => unknown;

/**
 * Runs them one after the other, the last first. One that fails keeps none of the others from running: what a directory
 * holds is written, and its lock given back, even if a socket cannot be closed. Never rejects; returns what failed, in order.
 */
export async function closeAll(closers: readonly Closer[]): Promise<unknown[]> {
  const errors: unknown[] = [];
  for (const close of [...closers].reverse()) {
    try {
      await close();
    } catch (error) {
      errors.push(error);
    }
  }
  return errors;
}
