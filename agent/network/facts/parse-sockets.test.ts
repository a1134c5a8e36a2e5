import { describe, expect, it } from 'vitest';
import { parseSockets } from './parse-sockets.ts';

const head =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
const row = (local: string, state: string): string =>
  `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 17 1 0 100 0 0 10 0`;

describe('parseSockets()', () => {
  it.each([
    ['TCP', '00000000:1F90', '0A', ['TCP 0.0.0.0 8080']],
    ['TCP', '0100007F:0050', '0A', ['TCP 127.0.0.1 80']],
    ['TCP', '0100007F:0050', '01', []], // A connection.
    ['TCP', '00000000000000000000000000000000:0050', '0A', ['TCP :: 80']],
    ['TCP', '00000000000000000000000001000000:0050', '0A', ['TCP ::1 80']],
    ['UDP', '3500A8C0:0035', '07', ['UDP 192.168.0.53 53']],
    ['UDP', '3500A8C0:0035', '01', []], // Connected to somebody.
    ['TCP', 'nonsense:0050', '0A', []],
  ] as const)('%s %s in state %s', (protocol, local, state, want) => {
    const found = parseSockets([head, row(local, state), row(local, state), ''].join('\n'), protocol);
    expect(found.map((one) => `${one.protocol} ${one.address} ${one.port}`)).toEqual(want);
  });

  it('is nothing of a table that is not there', () => expect(parseSockets('', 'TCP')).toEqual([]));
});
