/** What asking has shown, as what is broken. Pure but for the asking, which is given. */
import type { Path } from '#agent/network/fabric/paths.ts';

/** What became of one question: answered, nothing came, or the kernel did not send it (its errno). */
export type Reply = 'answered' | 'silent' | (string & {});

/** Ways to ask the other node. */
export interface Questions {
  /** From pod address to pod address, an IP packet of so many bytes that may not be cut. */
  pod(packetBytes: number): Promise<Reply>;
  /** The same without a UDP checksum; undefined: the family has none without. */
  readonly bare: (() => Promise<Reply>) | undefined;
  /** From node to node, past the fabric. */
  node(): Promise<Reply>;
}

/** Reasons of the Node's condition. */
export type Fault = 'MtuExceeded' | 'ChecksumOffload' | 'PathBlocked' | 'NoRoute' | 'NodeUnreachable';

/** undefined: packets of full size pass. */
export type Verdict =
  | {
      readonly fault: Fault;
      readonly message: string;
      /** The largest packet that passes, where that is known. */
      readonly passes?: number;
    }
  | undefined;

const smallBytes = 100;
/** Nobody's path takes less: below it is not the size that matters. */
const leastBytes = 576;
const routeErrnos: ReadonlySet<string> = new Set([
  'ENETUNREACH',
  'EHOSTUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
]);

export interface PathFacts {
  /** The largest packet that the path is to carry. */
  readonly mtu: number;
  /** Where the other's tunnel listens. */
  readonly port: number;
  /** The largest packet that passed the last time: asked for first. */
  readonly passed?: number | undefined;
}

export async function diagnose(
  path: Path,
  { mtu, port, passed }: PathFacts,
  ask: Questions,
): Promise<Verdict> {
  if ((await ask.pod(mtu)) === 'answered') return undefined;
  const small = await ask.pod(smallBytes);
  if (small === 'answered') return tooLarge(mtu, await largestBelow(mtu, passed, ask));
  if (routeErrnos.has(small))
    return { fault: 'NoRoute', message: `no route to ${path.destination} (${small})` };
  if ((await ask.bare?.()) === 'answered')
    return {
      fault: 'ChecksumOffload',
      message: `only packets without a checksum arrive in ${path.destination}: what computes checksums of ${path.kind} packets gets them wrong (ethtool -K, on the link of the nodes)`,
    };
  if ((await ask.node()) !== 'answered')
    return {
      fault: 'NodeUnreachable',
      message: `no answer from ${remoteOf(path)}, by the fabric or past it`,
    };
  return {
    fault: 'PathBlocked',
    message:
      path.kind === 'direct'
        ? `${path.gateway} answers, but nothing with addresses of pods passes to ${path.destination}: a firewall, or a network that knows only its hosts' addresses`
        : `${path.remote} answers, but nothing passes in ${path.kind} packets: a firewall for UDP port ${port}, perhaps`,
  };
}

function tooLarge(mtu: number, largest: number): Verdict {
  return {
    fault: 'MtuExceeded',
    passes: largest,
    message: `packets of ${mtu} bytes are lost, of ${largest} they pass: the network between has a smaller MTU than the nodes' link; say mtu=${largest}`,
  };
}

/** By halves: some eleven questions at most. */
async function largestBelow(mtu: number, passed: number | undefined, ask: Questions): Promise<number> {
  const isAsBefore =
    passed !== undefined &&
    (await ask.pod(passed)) === 'answered' &&
    (await ask.pod(passed + 1)) !== 'answered';
  if (isAsBefore) return passed;
  let [passes, lost] = [smallBytes, mtu];
  if ((await ask.pod(leastBytes)) === 'answered') passes = leastBytes;
  while (lost - passes > 1) {
    const middle = (passes + lost) >>> 1;
    if ((await ask.pod(middle)) === 'answered') passes = middle;
    else lost = middle;
  }
  return passes;
}

function remoteOf(path: Path): string {
  return path.kind === 'direct' ? path.gateway : path.remote;
}
