import { expect, test } from 'vitest';
import { bandwidthOf } from './bandwidth.ts';

const ingress = 'kubernetes.io/ingress-bandwidth';
const egress = 'kubernetes.io/egress-bandwidth';

test.each([
  [{}, {}],
  [{ [ingress]: '10M' }, { ingressBits: 10_000_000 }],
  [{ [egress]: '1Mi', other: 'x' }, { egressBits: 1_048_576 }],
  [
    { [ingress]: '1k', [egress]: '1P' },
    { ingressBits: 1000, egressBits: 1e15 },
  ],
])('%j is %j', (annotations, want) => expect(bandwidthOf(annotations)).toEqual(want));

test.each([
  [{ [ingress]: 'fast' }, `annotation ${ingress}: "fast" is not a quantity`],
  [{ [ingress]: '' }, 'is not a quantity'],
  [{ [egress]: '999' }, `annotation ${egress}: "999" is not from 1k to 1P`],
  [{ [egress]: '-1M' }, 'is not from 1k to 1P'],
  [{ [egress]: '2P' }, 'is not from 1k to 1P'],
])('refuses %j', (annotations, message) => expect(() => bandwidthOf(annotations)).toThrow(message));
