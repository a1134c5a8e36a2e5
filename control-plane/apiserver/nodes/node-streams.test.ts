import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { joinedMax, NodeStreams } from './node-streams.ts';

describe('NodeStreams', () => {
  it('counts streams as long as they are open, and none whose client left while the node was connected to', async () => {
    const streams = new NodeStreams({ clock: createFakeClock(), closing: new AbortController().signal });
    for (let count = 0; count < joinedMax; count++) {
      const [client, node] = [new PassThrough(), new PassThrough()];
      client.destroy();
      if (count === 0) await once(client, 'close');
      else await new Promise(setImmediate);
      streams.join(client, node);
      expect(node.destroyed).toBe(true);
    }
    expect(() => streams.checkRoom()).not.toThrow();
    const clients = Array.from({ length: joinedMax }, () => new PassThrough());
    for (const client of clients) streams.join(client, new PassThrough());
    expect(() => streams.checkRoom()).toThrow('Too many streams to nodes are open');
    clients[0]?.destroy();
    await new Promise(setImmediate);
    expect(() => streams.checkRoom()).not.toThrow();
    for (const client of clients) client.destroy();
  });
});
