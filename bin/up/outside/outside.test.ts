import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';

import { describe, expect, test } from 'vitest';
import type { Service } from '#api/generated/objects.ts';
import { renderTable } from '#native/nft/render.ts';
import { pairsOfServices, parseExposed, type PortPair } from './exposed.ts';
import { startRelay } from './relay-server.ts';
import { renderNodeResolvConf } from './render-resolv-conf.ts';
import { renderWayOut } from './render-way-out.ts';

test('rules of the way out', () => {
  const common = { link: 'podwright0', port: 40_000 };
  const [own4, own6] = [['10.244.0.0/16'], ['fd00:10:244::/56']];
  const table = renderWayOut({ ...common, family: 4, ownCidrs: own4, carriesDatagrams: false });
  const carried = renderTable(renderWayOut({ ...common, family: 6, ownCidrs: own6, carriesDatagrams: true }));
  expect(carried).toContain('ip6 daddr != @own meta l4proto tcp redirect to :40000');
  expect(carried).not.toContain('udp');
  expect(renderTable(table)).toMatchInlineSnapshot(`
    "table ip podwright-outside {
    	set own {
    		type ipv4_addr
    		flags interval
    		elements = { 10.244.0.0/16,
    			     224.0.0.0/4 }
    	}

    	chain prerouting {
    		type nat hook prerouting priority -100; policy accept;
    		iifname "podwright0" ip daddr != @own meta l4proto tcp redirect to :40000
    		iifname "podwright0" ip daddr != @own meta l4proto udp redirect to :1
    	}
    }"
  `);
});

test('resolv.conf of nodes', () => {
  const machine = '# made by\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch corp.test\n';
  expect(renderNodeResolvConf(machine, ['172.31.255.1'])).toBe(
    'nameserver 172.31.255.1\noptions edns0 trust-ad\nsearch corp.test\n',
  );
});

test.each([
  ['30080', { local: 30_080, port: 30_080 }],
  ['8080:30080', { local: 8080, port: 30_080 }],
  ['services', 'services'],
  ['0', undefined],
  ['8080:', undefined],
  ['70000', undefined],
  ['a:1', undefined],
])('--expose %s', (given, want) => expect(parseExposed(given)).toEqual(want));

function service(name: string, created: string, spec: Service['spec']): Service {
  return { metadata: { namespace: 'default', name, creationTimestamp: created }, spec };
}

test('ports of Services: node ports, and what a LoadBalancer would listen on, which the oldest has', () => {
  const services = [
    service('new', '2026-02-02T00:00:00Z', { type: 'LoadBalancer', ports: [{ port: 80, nodePort: 30_002 }] }),
    service('old', '2026-01-01T00:00:00Z', { type: 'LoadBalancer', ports: [{ port: 80, nodePort: 30_001 }] }),
    service('node', '2026-01-01T00:00:00Z', {
      type: 'NodePort',
      ports: [
        { port: 81, nodePort: 30_003 },
        { port: 53, nodePort: 30_004, protocol: 'UDP' },
      ],
    }),
    service('inner', '2026-01-01T00:00:00Z', { ports: [{ port: 82 }] }),
    {
      ...service('pool', '2026-01-01T00:00:00Z', {
        type: 'LoadBalancer',
        ports: [{ port: 80 }, { port: 83 }],
      }),
      status: { loadBalancer: { ingress: [{ ip: '203.0.113.1', ipMode: 'VIP' }] } },
    },
    service('pending', '2026-01-01T00:00:00Z', { type: 'LoadBalancer', ports: [{ port: 84 }] }),
  ];
  const words = ({ local, ip = '', port }: PortPair): string => `${local}:${ip}:${port}`;
  expect(pairsOfServices(services).map(words)).toEqual([
    '30003::30003',
    '30001::30001',
    '80::30001',
    '83:203.0.113.1:83',
    '30002::30002',
  ]);
});

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

describe('startRelay()', () => {
  const relayTo = (port: number) =>
    startRelay({ port: 0, host: '127.0.0.1' }, () =>
      connect({ port, host: '127.0.0.1', allowHalfOpen: true }),
    );
  const client = (port: number): Socket => connect({ port, host: '127.0.0.1', allowHalfOpen: true });

  test('carries the end of each way by itself', async () => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const asked: Buffer[] = [];
      socket.on('data', (data: Buffer) => asked.push(data));
      socket.on('end', () => socket.end(`${Buffer.concat(asked).toString()}, answered`));
    });
    const port = await listen(server);
    await using relayed = await relayTo(port);
    const socket = client(relayed.port);
    socket.end('asked');
    expect(await text(socket)).toBe('asked, answered');
    server.close();
  });

  test('a server that is not there, or breaks off, is a reset', async () => {
    const server = createServer((socket) => socket.once('data', () => socket.resetAndDestroy()));
    const port = await listen(server);
    const closed = createServer();
    const nobody = await listen(closed);
    await new Promise((resolve) => closed.close(resolve));
    for (const to of [port, nobody]) {
      await using relayed = await relayTo(to);
      const socket = client(relayed.port);
      socket.write('asked');
      const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
      expect(['ECONNRESET', 'EPIPE']).toContain(error.code);
    }
    server.close();
  });

  test('what it carries ends with it', async () => {
    const server = createServer((socket) => socket.on('error', () => undefined));
    const relayed = await relayTo(await listen(server));
    const socket = connect(relayed.port, '127.0.0.1').on('error', () => undefined);
    await once(socket, 'connect');
    socket.resume();
    await relayed[Symbol.asyncDispose]();
    await once(socket, 'close');
    server.close();
  });
});
