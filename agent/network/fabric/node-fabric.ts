/** What a node tells the others of how its pods are reached: an annotation of its Node, as flannel's backend-data is. Pure. */
import { createHash } from 'node:crypto';
import type { Node } from '#api/generated/objects.ts';
import { isObject } from '#api/wire/json.ts';
import { isFabricKind, type FabricKind } from './settings.ts';

export const fabricAnnotation = 'podwright/fabric';

/** How a node's pods are reached. One that says nothing is reached by plain routes, as one of an earlier release is. */
export interface NodeFabric {
  readonly kind: FabricKind;
  /** UDP, where it listens; 0 where the kind has none. */
  readonly port: number;
  readonly vni: number;
  /** Of its vxlan device. */
  readonly mac?: string;
  /** Of its WireGuard device, base64. It is there as soon as any node is reached by WireGuard: those it sends to must know it. */
  readonly publicKey?: string;
}

export const plainFabric: NodeFabric = { kind: 'host-gw', port: 0, vni: 1 };

/** Keys in a fixed order: what is published is compared as text. */
export function renderNodeFabric({ kind, port, vni, mac, publicKey }: NodeFabric): string {
  return JSON.stringify({ kind, port, vni, mac, publicKey });
}

/** undefined: there is an annotation, and nothing can be made of it. */
export function nodeFabricOf(node: Node): NodeFabric | undefined {
  const text = node.metadata?.annotations?.[fabricAnnotation];
  if (text === undefined) return plainFabric;
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(given)) return undefined;
  const { kind, port, vni, mac, publicKey } = given;
  const isWhole = (value: unknown, most: number): value is number =>
    typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most;
  if (typeof kind !== 'string' || !isFabricKind(kind)) return undefined;
  if (!isWhole(port, 65_535) || !isWhole(vni, 16_777_215)) return undefined;
  const isMac = typeof mac === 'string' && /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac);
  const isKey = typeof publicKey === 'string' && /^[A-Za-z0-9+/]{43}=$/.test(publicKey);
  if ((mac !== undefined && !isMac) || (publicKey !== undefined && !isKey)) return undefined;
  return { kind, port, vni, ...(isMac && { mac }), ...(isKey && { publicKey }) };
}

/**
 * The hardware address of a node's vxlan device: of its name, so that a reboot, or being made anew, changes nothing for the others.
 * Locally administered, of one host (IEEE 802).
 */
export function macOfNode(name: string): string {
  const bytes = createHash('sha256').update(`podwright vxlan ${name}`).digest().subarray(0, 6);
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return bytes.toString('hex').replace(/(..)(?=.)/g, '$1:');
}
