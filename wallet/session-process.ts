/**
 * The process behind an unlocked wallet. It reads its `SessionRequest` from stdin, where no other process can see it, says
 * "ready" and leaves its parent; it ends at the time-out, at `wallet lock` and at every signal.
 */
import { text } from 'node:stream/consumers';
import { SessionAgent, type SessionClock, type SessionRequest } from './session-agent.ts';

const clock: SessionClock = {
  now: () => Date.now(),
  after(ms, action) {
    const timer = setTimeout(action, ms);
    return () => clearTimeout(timer);
  },
};

const agent = new SessionAgent(JSON.parse(await text(process.stdin)) as SessionRequest, clock);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => agent.end());
await agent.listen();
process.stdout.write('ready\n');
await agent.ended;
