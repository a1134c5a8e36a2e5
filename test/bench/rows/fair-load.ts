/** The tenant of row `fair`, in a process of its own: connections that list all there is, again and again, while they are told to. */
import { setTimeout as sleep } from 'node:timers/promises';
import { openClient, Refusal, type Access, type H2Client } from '#test/bench/h2-client.ts';

/** From whoever started it: first where to go, then whether to list. */
export type LoadOrder =
  | { readonly kind: 'open'; readonly access: Access; readonly connections: number; readonly path: string }
  | { readonly kind: 'list'; readonly isOn: boolean };

export interface LoadReport {
  readonly isOpen: true;
}

/** What it waits that is refused without a word of when to come again. */
const retryMs = 1_000;
/** Handshakes at once. */
const openingMax = 32;

let isOn = false;
let asking = 0;

async function listForEver(client: H2Client, path: string): Promise<void> {
  for (;;) {
    if (!isOn) {
      await sleep(50);
      continue;
    }
    try {
      asking++;
      await client.request('GET', path);
    } catch (error) {
      await sleep((error instanceof Refusal ? error.retryAfterMs : undefined) ?? retryMs);
    } finally {
      asking--;
    }
  }
}

async function open(order: Extract<LoadOrder, { kind: 'open' }>): Promise<void> {
  let left = order.connections;
  const opening = Array.from({ length: openingMax }, async () => {
    while (left-- > 0) void listForEver(await openClient(order.access), order.path);
  });
  await Promise.all(opening);
  process.send?.({ isOpen: true } satisfies LoadReport);
}

/** Told to stop, it says when the last answer has come: what waits in the server is work, too. */
async function turn(on: boolean): Promise<void> {
  isOn = on;
  if (!on) await answered();
  process.send?.({ isOpen: true } satisfies LoadReport);
}

async function answered(): Promise<void> {
  if (asking === 0) return;
  await sleep(20);
  await answered();
}

process.on('message', (order: LoadOrder) => {
  if (order.kind === 'open') void open(order);
  else void turn(order.isOn);
});
process.on('disconnect', () => process.exit()); // oxlint-disable-line unicorn/no-process-exit -- its connections would keep it
