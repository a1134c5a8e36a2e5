import { expect, test } from 'vitest';
import { nodePortCidrsOf } from './node-proxy.ts';

test('node ports are served at the networks that are named, or at the addresses that the node has in the API', () => {
  const nodeIps = ['192.0.2.1', '2001:db8::1'];
  expect(nodePortCidrsOf(['primary'], nodeIps)).toEqual(['192.0.2.1/32', '2001:db8::1/128']);
  expect(nodePortCidrsOf(['10.0.0.0/8'], nodeIps)).toEqual(['10.0.0.0/8']);
  expect(nodePortCidrsOf([], nodeIps)).toEqual([]);
});
