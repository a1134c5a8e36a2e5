/** DIR/options.json: what `up` was told, so that the next `up` on the same data is the same cluster without being told again. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { fleetMax } from '#agent/fake-node/fleet-bounds.ts';
import { fastPaths, type FastPath } from '#agent/network/fast-path/choice.ts';
import { proxyModes, type ProxyMode } from '#agent/proxy/service-rules.ts';
import { writeDurably } from '#base/durable-file.ts';
import { errnoOf } from '#base/errors.ts';
import { parseFabric, plainFabricText } from '#agent/network/fabric/settings.ts';
import { parseCidr } from '#base/ip.ts';
import { parseExposed } from './outside/exposed.ts';
import {
  egresses,
  egressOf,
  ipFamilies,
  nodesMax,
  podsMax,
  type Egress,
  type KeptOptions,
  type UpIpFamily,
} from './plan.ts';
import { isServerOption } from './server-option.ts';

export const defaultOptions: KeptOptions = {
  ...{ nodes: 1, port: 6443, nodeCidrMaskSize: 24, maxPods: 110 },
  ipFamily: 'ipv4',
  fabric: plainFabricText,
  serverOption: [],
  egress: 'none',
  expose: [],
  proxyMode: 'nftables',
  fastPath: 'off',
  loadBalancerCidr: [],
  fakeNodes: 0,
  runtimeHandler: [],
};

const fileOf = (dataDir: string): string => join(dataDir, 'options.json');

/** Pure. undefined when it is none. What earlier releases did not keep has its default. */
export function parseKeptOptions(text: string): KeptOptions | undefined {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof given !== 'object' || given === null) return undefined;
  const kept = { ...defaultOptions, ...given } as Record<keyof KeptOptions, unknown>;
  const { nodes, port, ipFamily, nodeCidrMaskSize, maxPods, fabric, serverOption, expose } = kept;
  // Earlier releases kept whether, not how.
  const egress = typeof kept.egress === 'boolean' ? egressOf(kept.egress) : kept.egress;
  const { proxyMode, fastPath, loadBalancerCidr, fakeNodes, runtimeHandler } = kept;
  const isWithin = (number: unknown, maximum: number): number is number =>
    typeof number === 'number' && Number.isInteger(number) && number >= 1 && number <= maximum;
  if (!('nodes' in given && 'port' in given)) return undefined;
  return isWithin(nodes, nodesMax) &&
    isWithin(port, 65_535) &&
    isIpFamily(ipFamily) &&
    isWithin(nodeCidrMaskSize, 30) &&
    isWithin(maxPods, podsMax) &&
    typeof fabric === 'string' &&
    'settings' in parseFabric(fabric) &&
    areStrings(serverOption, isServerOption) &&
    isEgress(egress) &&
    areStrings(expose, (text) => parseExposed(text) !== undefined) &&
    isProxyMode(proxyMode) &&
    isFastPath(fastPath) &&
    areStrings(loadBalancerCidr, (text) => parseCidr(text) !== undefined) &&
    areStrings(runtimeHandler, () => true) &&
    (fakeNodes === 0 || isWithin(fakeNodes, fleetMax))
    ? {
        ...{ nodes, port, ipFamily, nodeCidrMaskSize, maxPods, fabric, serverOption, egress, expose },
        ...{ proxyMode, fastPath, loadBalancerCidr, fakeNodes, runtimeHandler },
      }
    : undefined;
}

function isIpFamily(value: unknown): value is UpIpFamily {
  return typeof value === 'string' && Object.hasOwn(ipFamilies, value);
}

function isEgress(value: unknown): value is Egress {
  return egresses.some((one) => one === value);
}

function isFastPath(value: unknown): value is FastPath {
  return fastPaths.some((path) => path === value);
}

function isProxyMode(value: unknown): value is ProxyMode {
  return proxyModes.some((mode) => mode === value);
}

function areStrings(value: unknown, isOne: (text: string) => boolean): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string' && isOne(text));
}

/** undefined when there are none; damaged ones are told of, are as good as none, and are written anew. The directory is claimed. */
export async function readKeptOptions(
  dataDir: string,
  onDamaged: (path: string) => void,
): Promise<KeptOptions | undefined> {
  const path = fileOf(dataDir);
  try {
    const kept = parseKeptOptions(await readFile(path, 'utf8'));
    if (kept === undefined) onDamaged(path);
    return kept;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export async function writeKeptOptions(dataDir: string, options: KeptOptions): Promise<void> {
  await writeDurably(fileOf(dataDir), `${JSON.stringify(options)}\n`);
}
