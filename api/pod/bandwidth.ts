/** What a pod may receive and send, by its annotations (kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/network-plugins). Pure. */
import { isPodwrightError, PodwrightError } from '#base/errors.ts';
import { parseQuantity, quantityToNumber } from '#api/meta/quantity.ts';

/** Bits a second; absent: no bound. */
export interface PodBandwidth {
  readonly ingressBits?: number;
  readonly egressBits?: number;
}

/** kubelet's bounds (pkg/util/bandwidth): 1k and 1P bits a second. */
const [bitsMin, bitsMax] = [1e3, 1e15];

const annotations = {
  ingressBits: 'kubernetes.io/ingress-bandwidth',
  egressBits: 'kubernetes.io/egress-bandwidth',
} as const;

/** @throws {E_INVALID} with the name of the annotation */
export function bandwidthOf(given: Readonly<Record<string, string>> = {}): PodBandwidth {
  const entries = Object.entries(annotations).flatMap(([member, name]) =>
    given[name] === undefined ? [] : [[member, parseRate(name, given[name])] as const],
  );
  return Object.fromEntries(entries);
}

function parseRate(name: string, text: string): number {
  const refuse = (why: string): never => {
    throw new PodwrightError('E_INVALID', `annotation ${name}: ${JSON.stringify(text)} ${why}`);
  };
  try {
    const bits = quantityToNumber(parseQuantity(text));
    return bits >= bitsMin && bits <= bitsMax ? Math.floor(bits) : refuse('is not from 1k to 1P');
  } catch (error) {
    if (isPodwrightError(error, 'E_INVALID') && error.message.startsWith('quantities'))
      return refuse('is not a quantity, as 10M');
    throw error;
  }
}
