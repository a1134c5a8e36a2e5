import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { checkRoom, join, joinedMax } from './upgrade.ts';

describe('join()', () => {
  it('counts streams as long as they are open, and none whose client left while the node was connected to', async () => {
    const context = { clock: createFakeClock(), closing: new AbortController().signal };
    for (let count = 0; count < joinedMax; count++) {
      const [client, node] = [new PassThrough(), new PassThrough()];
      client.destroy();
      if (count === 0) await once(client, 'close');
      else await new Promise(setImmediate);
      join(context, client, node);
      expect(node.destroyed).toBe(true);
    }
    expect(() => checkRoom(context)).not.toThrow();
    const clients = Array.from({ length: joinedMax }, () => new PassThrough());
    for (const client of clients) join(context, client, new PassThrough());
    expect(() => checkRoom(context)).toThrow('Too many streams to nodes are open');
    clients[0]?.destroy();
    await new Promise(setImmediate);
    expect(() => checkRoom(context)).not.toThrow();
    for (const client of clients) client.destroy();
  });
});
